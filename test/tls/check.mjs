// What testssl.sh finds at the server's door: nothing from LOW up, but for what is named and explained here. Starts a server of its own on 127.0.0.1,
// and asks no other. The last line is JSON: the number of findings, by severity, and of those that are excepted. The exit code is 1 on any other.

import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { Server } from "../e2e/lib/server.mjs";

/** Findings that stay, and why. */
const excepted = {
  cert_revocation: "the server's own authority revokes nothing: it issues for one server, whose operator deletes it",
  BREACH: "what is compressed are the pages' own files, the same for everybody; what holds a secret never is",
  engine_problem: "of the openssl on this machine: it has no GOST, which is not looked for",
};
const fine = ["OK", "INFO", "DEBUG"];

const server = await Server.start({ config: "log: {level: warn}\n" });
const report = join(server.dataDir, "tls.json");
try {
  const limit = 8 * 60_000;
  await promisify(execFile)("testssl", ["--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "--jsonfile", report, "--add-ca", join(server.dataDir, "ca.pem"), new URL(server.origin).host], { timeout: limit }).catch((cause) => {
    if (typeof cause.code !== "number") throw cause; // not there, or too late; its exit code is only how much it found
  });
  const findings = JSON.parse(readFileSync(report, "utf8"));
  if (!findings.some(({ id, finding }) => id === "TLS1_3" && finding.startsWith("offered"))) throw new Error("testssl.sh did not find TLS 1.3, so its other findings say nothing");
  const count = {};
  let misses = 0;
  for (const { id, severity, finding } of findings) {
    count[severity] = (count[severity] ?? 0) + 1;
    if (fine.includes(severity)) continue;
    const reason = excepted[id];
    if (reason === undefined) misses++;
    console.log(`${reason === undefined ? "MISS" : "excepted"} ${severity} ${id}: ${finding}${reason === undefined ? "" : ` (${reason})`}`);
  }
  console.log(JSON.stringify({ findings: findings.length, ...count, misses }));
  process.exitCode = misses > 0 ? 1 : 0;
} finally {
  await server.stop();
}

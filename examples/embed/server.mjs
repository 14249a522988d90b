// A site that shows one of Sightline's cameras to its own visitors: a page, and behind it what gets tickets. Needs Node 20 or
// later and nothing else. See README.md beside this file.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const { SIGHTLINE = "https://localhost:8443", SIGHTLINE_TOKEN, STREAM = "test", PORT = "9000", HOST = "localhost" } = process.env;

if (SIGHTLINE_TOKEN === undefined) {
  console.error("SIGHTLINE_TOKEN is not set: make a token with `sightline token --stream STREAM --action view --sub my-site`.");
  process.exit(2);
}

const page = readFileSync(new URL("index.html", import.meta.url), "utf8").replaceAll("SIGHTLINE", SIGHTLINE).replaceAll("STREAM", STREAM);
// What this page may do: load the player from Sightline, run its worker, and open connections to Sightline.
const socket = SIGHTLINE.replace(/^http/, "ws");
const policy = `default-src 'none'; script-src ${SIGHTLINE}; worker-src blob:; connect-src 'self' ${socket}; media-src blob: mediastream:; style-src 'unsafe-inline'`;

const server = createServer(async (request, response) => {
  if (request.method === "GET" && request.url === "/") {
    response.writeHead(200, { "Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": policy });
    response.end(page);
  } else if (request.method === "POST" && request.url === "/ticket") {
    // Here a real site looks who its visitor is, and whether they may see this camera.
    const [status, body] = await ticket();
    response.writeHead(status, { "Content-Type": "application/json", "Cache-Control": "no-store" });
    response.end(JSON.stringify(body));
  } else {
    response.writeHead(404).end();
  }
});

/** A ticket opens one stream once, within 30 seconds, from a page of this origin. The token never leaves this program. */
async function ticket() {
  try {
    const answer = await fetch(`${SIGHTLINE}/api/v1/tickets`, {
      method: "POST",
      headers: { Authorization: `Bearer ${SIGHTLINE_TOKEN}`, "Content-Type": "application/json" },
      body: JSON.stringify({ stream: STREAM, action: "view", origin }),
    });
    const body = await answer.json();
    if (answer.ok) return [200, { ticket: body.ticket }];
    console.error(`Sightline gives no ticket: ${body.error.message}`);
  } catch (cause) {
    console.error(`Sightline cannot be asked: ${cause.cause?.message ?? cause.message}`);
  }
  return [502, {}];
}

let origin;
server.listen(Number(PORT), HOST, () => {
  origin = `http://${HOST}:${server.address().port}`;
  console.log(`Open ${origin}`);
});

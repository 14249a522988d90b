// What the system knows of processes: whose children they are, their memory, and the processor time of their threads. Linux.

import { readdirSync, readFileSync } from "node:fs";

const ticks = 100; // a second, on every Linux that Node runs on

/** What reading a file of /proc gave, or undefined for a process that has ended. */
function proc(path) {
  try {
    return readFileSync(`/proc/${path}`, "utf8");
  } catch {
    return undefined;
  }
}

/** The fields behind the name in a stat file: [state, parent, …]. */
const fields = (stat) => stat.slice(stat.lastIndexOf(")") + 2).split(" ");

/** A process and all that it started, at any depth: {pid, args}. */
export function family(pid) {
  const all = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).flatMap((name) => {
    const stat = proc(`${name}/stat`);
    return stat === undefined ? [] : [{ pid: Number(name), parent: Number(fields(stat)[1]) }];
  });
  const members = new Set([pid]);
  for (let before = 0; before !== members.size; ) {
    before = members.size;
    for (const p of all) if (members.has(p.parent)) members.add(p.pid);
  }
  return [...members].map((pid) => ({ pid, args: (proc(`${pid}/cmdline`) ?? "").split("\0").join(" ") }));
}

/** Which of Chromium's kinds a member of its family is. */
export const kind = ({ args }) => /--type=([a-z-]+)/.exec(args)?.[1] ?? "browser";

/** Resident memory, in MB. */
export const residentMB = (pid) => Number(/^VmRSS:\s+(\d+) kB/m.exec(proc(`${pid}/status`) ?? "")?.[1] ?? 0) / 1024;

/** Processor time of a process up to now, in seconds. */
export function processorSeconds(pid) {
  const stat = proc(`${pid}/stat`);
  return stat === undefined ? 0 : (Number(fields(stat)[11]) + Number(fields(stat)[12])) / ticks;
}

/** The same of its threads, by their names. */
export function threadSeconds(pid) {
  const by = new Map();
  for (const tid of readdirSync(`/proc/${pid}/task`)) {
    const stat = proc(`${pid}/task/${tid}/stat`);
    if (stat === undefined) continue;
    const name = stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")")).replace(/[\d/]+$/, "");
    by.set(name, (by.get(name) ?? 0) + (Number(fields(stat)[11]) + Number(fields(stat)[12])) / ticks);
  }
  return by;
}

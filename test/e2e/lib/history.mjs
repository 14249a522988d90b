// A day of figures as a server keeps it, in the file history.log of its data directory.

/** Minutes since 1970. */
export const minutes = () => Math.floor(Date.now() / 60_000);

/** CRC-32C, as the file has it. */
function crc32c(bytes) {
  let crc = ~0;
  for (const b of bytes) {
    crc ^= b;
    for (let i = 0; i < 8; i++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return (~crc >>> 0).toString(16).padStart(8, "0");
}

/** The file of a day with two hours in which the server was off: one stream that was watched, and others that were not. */
export function aDay(watched, ...others) {
  const now = minutes();
  let text = "";
  for (let at = now - 700; at < now - 1; at++) {
    if (at > now - 400 && at < now - 280) continue;
    const day = Math.sin((at - now) / 140) + 1;
    const v = Math.round(day * 4);
    const body = JSON.stringify({
      at,
      server: { v: v + 1, b: v * 2.4e6, r: at % 97 === 0 ? 12 : 0, m: Math.round(6e7 + day * 2e7) },
      streams: {
        ...Object.fromEntries(others.map((name) => [name, {}])),
        [watched]: v === 0 ? {} : { v, f: 29.97, b: 2.3e6 + (at % 13) * 2e4, p: 21 + day * 3 + (at % 7), q: 30 + day * 9 + (at % 11), d: at % 40 === 0 ? 6 : 0, n: 41 + (at % 5) / 10, s: 0.982 },
      },
    });
    text += `${crc32c(Buffer.from(body))} ${body}\n`;
  }
  return text;
}

// How long a stream stays away when its capture process is killed: from kill -9 to the next picture at a viewer. Starts a server of its
// own with the demonstration. SIGHTLINE_BIN names the folder of the programs (default: bin). The last line is the figures as JSON:
//
//   restart_p50_ms, restart_max_ms   over the kills
//   disconnected                     viewers that lost their connection, which should be none

import { Server } from "../e2e/lib/server.mjs";
import { Viewer } from "../e2e/lib/socket.mjs";
import { setTimeout as pause } from "node:timers/promises";

const kills = 5;
const apart = 5_200; // ms; a process that dies sooner than five seconds after its start is started again more slowly each time

const server = await Server.start();
try {
  const viewer = await Viewer.join(server, "test", { token: await server.token({ stream: "test" }) });
  await viewer.nextKey();
  const away = [];
  for (let i = 0; i < kills; i++) {
    await pause(apart);
    process.kill(server.capturePid("test"), "SIGKILL");
    const killed = performance.now();
    away.push((await viewer.nextKey()).at - killed);
    console.log(`kill ${i + 1}: next picture after ${away.at(-1).toFixed(0)} ms`);
  }
  const disconnected = viewer.socket.ended ? 1 : 0;
  await viewer.leave();
  away.sort((a, b) => a - b);
  console.log(JSON.stringify({ restart_p50_ms: Math.round(away[kills >> 1]), restart_max_ms: Math.round(away.at(-1)), disconnected }));
} finally {
  await server.stop();
}

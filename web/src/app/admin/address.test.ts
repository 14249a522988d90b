import assert from "node:assert/strict";
import { test } from "node:test";
import { streamName, withLogin } from "./address.ts";

test("a login goes into an address, whatever characters it has", () => {
  assert.equal(withLogin("rtsp://192.0.2.5/a?b=1#transport=udp", "admin", "p@ss:w/rd#%"), "rtsp://admin:p%40ss%3Aw%2Frd%23%25@192.0.2.5/a?b=1#transport=udp");
  assert.equal(withLogin(" rtsp://old:word@cam:554/a ", "admin", "new"), "rtsp://admin:new@cam:554/a");
  assert.equal(withLogin("http://cam/a@b", "admin", ""), "http://admin@cam/a@b");
  assert.equal(withLogin("rtsp://admin:word@cam/a", "", ""), "rtsp://admin:word@cam/a");
  assert.equal(withLogin("v4l2:/dev/video0", "admin", "word"), "v4l2:/dev/video0");
});

test("a stream is named after its camera, as far as names may be so", () => {
  assert.equal(streamName("Yard Cam #2 (north)"), "yard-cam-2-north");
  assert.equal(streamName("--DS-2CD2042WD-I"), "ds-2cd2042wd-i");
  assert.equal(streamName("Käfig"), "k-fig");
  assert.equal(streamName("摄像机"), "");
});

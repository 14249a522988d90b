import assert from "node:assert/strict";
import { test } from "node:test";
import { codecStrings, defaultBitrate, evenSize, jpegSize, renditions, within } from "./offer.ts";

test("the level is the least that holds the pictures", () => {
  assert.equal(codecStrings({ width: 640, height: 480 }, 30)[0], "avc1.42e01e");
  assert.equal(codecStrings({ width: 1280, height: 720 }, 30)[0], "avc1.42e01f");
  assert.equal(codecStrings({ width: 720, height: 1280 }, 30)[0], "avc1.42e01f");
  assert.equal(codecStrings({ width: 1280, height: 720 }, 60)[0], "avc1.42e020");
  assert.equal(codecStrings({ width: 1920, height: 1080 }, 30)[0], "avc1.42e028");
  assert.equal(codecStrings({ width: 1920, height: 1080 }, 60)[0], "avc1.42e02a");
  assert.equal(codecStrings({ width: 7680, height: 4320 }, 60)[0], "avc1.42e034");
});

test("sides are even, and proportions are kept either way up", () => {
  assert.deepEqual(evenSize({ width: 641, height: 1 }), { width: 640, height: 2 });
  assert.deepEqual(within({ width: 1920, height: 1080 }, 720), { width: 1280, height: 720 });
  assert.deepEqual(within({ width: 1080, height: 1920 }, 720), { width: 720, height: 1280 });
  assert.deepEqual(jpegSize({ width: 640, height: 480 }), { width: 640, height: 480 });
});

test("larger and quicker pictures get more bits, less than in proportion", () => {
  const hd = { width: 1280, height: 720 };
  assert.equal(defaultBitrate(hd, 30), 2_500_000);
  const full = defaultBitrate({ width: 1920, height: 1080 }, 30);
  assert.ok(full > 4_000_000 && full < 2.25 * 2_500_000, `${full}`);
  assert.ok(defaultBitrate(hd, 60) > 2_500_000 && defaultBitrate(hd, 60) < 5_000_000);
  assert.equal(defaultBitrate({ width: 16, height: 16 }, 5), 200_000);
});

test("what is offered meets the server's rules", () => {
  for (const h264 of [true, false]) {
    for (const size of [{ width: 1281, height: 721 }, { width: 480, height: 640 }]) {
      const list = renditions(size, 29.97, h264);
      assert.deepEqual(list.map((r) => r.codec), h264 ? ["h264", "jpeg"] : ["jpeg"]);
      for (const r of list) {
        assert.ok(r.width % 2 === 0 && r.height % 2 === 0);
        assert.ok(r.min_bitrate_bps <= r.max_bitrate_bps);
        assert.ok(Number.isInteger(r.frame_rate_milli) && r.name.length <= 64);
      }
    }
  }
  assert.equal(renditions({ width: 480, height: 640 }, 30, true)[0]?.name, "480p");
});

#!/usr/bin/env python3
"""Publish OpenCV pictures to Sightline: each frame goes, raw, into a sightline-capture beside this program, which encodes
what somebody watches. Put your own work where draw() is.

    export SIGHTLINE_TOKEN=$(sightline token --stream lab --action publish)
    publish.py --publish wss://sightline.lan:8443/ws/publish/lab --ca ca.pem --input 0
"""

import argparse
import subprocess
import sys
import time

import cv2
import numpy


def frames(name, width, height, rate):
    """Pictures of a camera ("0"), of a video file, or drawn ones ("demo")."""
    if name == "demo":
        started, count = time.monotonic(), 0
        while True:
            picture = numpy.full((height, width, 3), (160, 80, 40), numpy.uint8)  # blue, green, red
            cv2.circle(picture, (count * 4 % width, height // 2), height // 8, (255, 255, 255), -1)
            yield picture
            count += 1
            time.sleep(max(0, started + count / rate - time.monotonic()))
    source = cv2.VideoCapture(int(name) if name.isdigit() else name)
    while True:
        ok, picture = source.read()
        if not ok:
            return
        yield cv2.resize(picture, (width, height)) if picture.shape[:2] != (height, width) else picture


def draw(picture):
    """What this program adds to a picture."""
    cv2.putText(picture, time.strftime("%H:%M:%S"), (16, 40), cv2.FONT_HERSHEY_SIMPLEX, 1, (255, 255, 255), 2)
    return picture


def main():
    parser = argparse.ArgumentParser(description="Publish OpenCV pictures to Sightline. The token comes from $SIGHTLINE_TOKEN.")
    parser.add_argument("--publish", required=True, help="wss://HOST/ws/publish/STREAM")
    parser.add_argument("--ca", help="the server's certificate authority, ca.pem; default: those the system trusts")
    parser.add_argument("--input", default="0", help='a camera\'s number, a video file, or "demo"')
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--fps", type=float, default=30)
    parser.add_argument("--capture", default="sightline-capture", help="the program")
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))

    command = [args.capture, "--source", f"pipe:?format=bgr24&size={width}x{height}&fps={args.fps:g}", "--publish", args.publish]
    if args.ca:
        command += ["--ca", args.ca]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as capture:
        try:
            for picture in frames(args.input, width, height, args.fps):
                capture.stdin.write(draw(picture).tobytes())
        except BrokenPipeError:
            pass  # sightline-capture has said why on standard error
        except KeyboardInterrupt:
            pass
        try:
            capture.stdin.close()
        except BrokenPipeError:
            pass
        return capture.wait()


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Read a Sightline stream with OpenCV: every picture comes as a numpy array. The token goes into a header, never into the
address, and the server's certificate is checked against its own authority.

    export SIGHTLINE_TOKEN=$(sightline token --stream lab --action view)
    read.py --url https://sightline.lan:8443/mjpeg/lab --ca ca.pem
"""

import argparse
import json
import os
import sys


def open_stream(url, ca, token):
    """A cv2.VideoCapture of url, which fails to open if the server is not the one that ca vouches for."""
    if "|" in ca or ";" in ca:
        sys.exit("read.py: the path of --ca may hold neither | nor ;, which OpenCV separates options with")
    # Without tls_verify OpenCV would take any certificate, and give the token to anyone.
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = f"tls_verify;1|ca_file;{ca}|headers;Authorization: Bearer {token}\r\n"
    import cv2

    return cv2.VideoCapture(url, cv2.CAP_FFMPEG)


def main():
    parser = argparse.ArgumentParser(description="Read a Sightline stream with OpenCV. The token comes from $SIGHTLINE_TOKEN.")
    parser.add_argument("--url", required=True, help="https://HOST/mjpeg/STREAM")
    parser.add_argument("--ca", required=True, help="the server's certificate authority, ca.pem in its data directory")
    parser.add_argument("--frames", type=int, default=100, help="how many to read")
    args = parser.parse_args()
    token = os.environ.pop("SIGHTLINE_TOKEN", "")
    if not token:
        sys.exit('read.py: no token; set SIGHTLINE_TOKEN, made with "sightline token --action view"')

    stream = open_stream(args.url, args.ca, token)
    if not stream.isOpened():
        sys.exit("read.py: the stream does not open; check address, token and authority, and whether the camera is on")
    count = 0
    while count < args.frames:
        ok, picture = stream.read()
        if not ok:
            break
        count += 1
        height, width = picture.shape[:2]
        corner = picture[height - 8 : height - 4, 4:8].mean(axis=(0, 1))  # blue, green, red: put your own work here
    stream.release()
    if count == 0:
        sys.exit("read.py: no picture came")
    print(json.dumps({"frames": count, "width": width, "height": height, "corner": [round(float(v)) for v in corner]}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

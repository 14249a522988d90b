"""An RTSP camera on the loopback interface: plays a clip as H.264, once per client, to those who know the login.

Usage: rtsp-camera.py CLIP PORT USER PASSWORD. Port 0 takes a free one. Prints "ready PORT".
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

clip, port, user, password = sys.argv[1:]
Gst.init(None)

server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(port)

token = GstRtspServer.RTSPToken()
token.set_string("media.factory.role", "viewer")
auth = GstRtspServer.RTSPAuth()
auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
server.set_auth(auth)

allowed = GstRtspServer.RTSPPermissions()
allowed.add_permission_for_role("viewer", "media.factory.access", True)
allowed.add_permission_for_role("viewer", "media.factory.construct", True)
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(f"( filesrc location={clip} ! qtdemux ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1 )")
factory.set_permissions(allowed)
server.get_mount_points().add_factory("/street", factory)

if server.attach(None) == 0:
    sys.exit("the port is taken")
print("ready", server.get_bound_port(), flush=True)
GLib.MainLoop().run()

"""An RTSP camera for those who know the login, by Digest. It plays a clip, from its beginning for each client: /street is H.264,
/datagrams the same over UDP alone, /h265 and /jpeg are that.

Usage: rtsp-camera.py CLIP ADDRESS PORT USER PASSWORD [CERTIFICATE KEY]. Port 0 takes a free one. Prints "ready PORT". With a certificate it speaks TLS.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

clip, address, port, user, password = sys.argv[1:6]
Gst.init(None)

server = GstRtspServer.RTSPServer()
server.set_address(address)
server.set_service(port)

token = GstRtspServer.RTSPToken()
token.set_string("media.factory.role", "viewer")
auth = GstRtspServer.RTSPAuth()
auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
auth.add_digest(user, password, token)
if len(sys.argv) > 6:
    auth.set_tls_certificate(Gio.TlsCertificate.new_from_files(*sys.argv[6:8]))
server.set_auth(auth)

allowed = GstRtspServer.RTSPPermissions()
allowed.add_permission_for_role("viewer", "media.factory.access", True)
allowed.add_permission_for_role("viewer", "media.factory.construct", True)
udp, both = GstRtsp.RTSPLowerTrans.UDP, GstRtsp.RTSPLowerTrans.UDP | GstRtsp.RTSPLowerTrans.TCP
source = f"filesrc location={clip} ! qtdemux ! h264parse"
h264 = f"{source} ! rtph264pay name=pay0 pt=96 config-interval=-1"
for path, launch in {
    "/street": h264,
    "/datagrams": h264,
    "/h265": f"{source} ! avdec_h264 ! x265enc speed-preset=ultrafast tune=zerolatency ! rtph265pay name=pay0 pt=96 config-interval=-1",
    "/jpeg": f"{source} ! avdec_h264 ! jpegenc ! rtpjpegpay name=pay0 pt=26",
}.items():
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(f"( {launch} )")
    factory.set_permissions(allowed)
    factory.set_protocols(udp if path == "/datagrams" else both)
    server.get_mount_points().add_factory(path, factory)

if server.attach(None) == 0:
    sys.exit("the port is taken")
print("ready", server.get_bound_port(), flush=True)
GLib.MainLoop().run()

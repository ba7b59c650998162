"""Plays nova-compute for nova-novncproxy: whether a console has a port.

Usage: compute.py CONFIG-FILE PORT

Nova's own compares the port with the one that Ironic says now.
"""

import nova.cmd  # as Nova's programs do, before all else: it prepares for eventlet

import sys

import oslo_messaging

from nova import config, objects, rpc
from nova.objects import base

config.parse_args(["nova", "--config-file", sys.argv[1]])
objects.register_all()


class Compute:
    target = oslo_messaging.Target(version="6.0")

    def validate_console_port(self, ctxt, instance, port, console_type):
        return console_type == "novnc" and port == sys.argv[2]


server = rpc.get_server(
    oslo_messaging.Target(topic="compute", server="compute"), [Compute()], serializer=base.NovaObjectSerializer())
server.start()
print("ready", flush=True)
server.wait()

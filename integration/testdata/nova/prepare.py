"""Makes what nova-novncproxy finds in Nova's database: an instance and a token.

Usage: prepare.py CONFIG-FILE HOST PORT [INTERNAL-ACCESS-PATH]

Prints the address that `nova get-vnc-console` would answer.
"""

import sys

from nova import config, context, objects
from nova.db.main import api, models

config.parse_args(["nova", "--config-file", sys.argv[1]], init_rpc=False)
objects.register_all()
models.BASE.metadata.create_all(api.get_engine())

admin = context.get_admin_context()
instances = objects.InstanceList.get_all(admin)
if instances:
    instance = instances[0]
else:
    instance = objects.Instance(
        admin, project_id="project", user_id="user", host="compute", node="node", display_name="metal")
    instance.create()

token = objects.ConsoleAuthToken(
    admin, console_type="novnc", instance_uuid=instance.uuid, host=sys.argv[2], port=int(sys.argv[3]),
    access_url_base=config.CONF.vnc.novncproxy_base_url)
if len(sys.argv) > 4:
    token.internal_access_path = sys.argv[4]
token.authorize(600)
print(token.access_url)

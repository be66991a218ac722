"""A Samba Active Directory domain controller for tests (tests/it/sync/samba_dc.rs), in namespaces of its own.

provision FOLDER LDIF: makes a new domain that holds these entries. What a file server would need of it is left out, so nobody
has to be root.
serve FOLDER: runs the controller of a folder. Its ports are fixed and it has them to itself; what comes to the sockets that
are standard input and standard output is handed on to LDAP and LDAPS.
"""

import asyncio
import fcntl
import logging
import os
import shutil
import socket
import struct
import sys

REALM, DOMAIN, HOST, PASSWORD = "CORP.EXAMPLE", "CORP", "dc1", "Admins-secret-1"
LDAP, LDAPS = 389, 636

SETTINGS = """[global]
    realm = {realm}
    workgroup = {domain}
    netbios name = {host}
    server role = active directory domain controller
    server services = ldap
    private dir = {folder}/private
    state directory = {folder}/state
    cache directory = {folder}/run
    lock directory = {folder}/run
    pid directory = {folder}/run
    ncalrpc dir = {folder}/run
    winbindd socket directory = {folder}/run
    ntp signd socket directory = {folder}/run
    tls cafile = {folder}/ca.pem
    tls certfile = {folder}/server.pem
    tls keyfile = {folder}/server.key
    ldb:nosync = yes
"""


def provision(folder, ldif):
    from samba import dsdb, param
    from samba.auth import system_session
    from samba.provision import provision as make

    base = os.path.join(folder, "base.conf")
    with open(base, "w") as file:
        file.write("[global]\n    server services = ldap\n    ldb:nosync = yes\n    realm = " + REALM + "\n")
    settings = param.LoadParm()
    settings.load(base)
    made = make(
        logging.getLogger(),
        system_session(),
        lp=settings,
        targetdir=folder,
        realm=REALM,
        domain=DOMAIN,
        hostname=HOST,
        hostip="127.0.0.1",
        adminpass=PASSWORD,
        dns_backend="NONE",
        serverrole="active directory domain controller",
        dom_for_fun_level=dsdb.DS_DOMAIN_FUNCTION_2008_R2,
        skip_sysvolacl=True,
        batch_mode=True,
    )
    made.samdb.transaction_start()
    with open(ldif) as file:
        made.samdb.modify_ldif(file.read())
    made.samdb.transaction_commit()


def loopback_up():
    up_and_running, set_flags = 0x41, 0x8914
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, set_flags, struct.pack("16sh", b"lo", up_and_running))


async def connected(port):
    """A connection to the controller, as soon as it listens."""
    while True:
        try:
            return await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)


async def pumped(reader, writer):
    try:
        while some := await reader.read(65536):
            writer.write(some)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def relayed(descriptor, port):
    async def accepted(reader, writer):
        from_server, to_server = await connected(port)
        await asyncio.gather(pumped(reader, to_server), pumped(from_server, writer))

    server = await asyncio.start_server(accepted, sock=socket.socket(fileno=descriptor))
    await server.serve_forever()


async def serve(folder):
    loopback_up()
    # What a controller left there of which this folder is a copy, is not this one's.
    shutil.rmtree(os.path.join(folder, "run"), ignore_errors=True)
    os.makedirs(os.path.join(folder, "run"))
    settings = os.path.join(folder, "smb.conf")
    with open(settings, "w") as file:
        file.write(SETTINGS.format(realm=REALM, domain=DOMAIN, host=HOST, folder=folder))
    # A controller in the foreground ends with its standard input: with this process.
    controller = await asyncio.create_subprocess_exec(
        "samba", "--interactive", "--model=single", "--debug-stdout", "--configfile=" + settings,
        stdin=asyncio.subprocess.PIPE, stdout=2,
    )
    relays = [asyncio.ensure_future(relayed(0, LDAP)), asyncio.ensure_future(relayed(1, LDAPS))]
    ended = asyncio.ensure_future(controller.wait())
    await asyncio.wait([ended, *relays], return_when=asyncio.FIRST_COMPLETED)
    # Whoever waits for an answer is to hear that none comes.
    os._exit(1)


if sys.argv[1] == "provision":
    provision(*sys.argv[2:])
else:
    asyncio.run(serve(*sys.argv[2:]))

// A viewer as far as ServerInit, with noVNC's own socket and RA2ne: it prints
// the desktop's name, or why there is none.
//
//   PASSWORD=... node ra2ne.mjs CORE PORT
import net from "node:net";
import { pathToFileURL } from "node:url";

const [core, port] = process.argv.slice(2);
globalThis.window = globalThis;
globalThis.WebSocket = { CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 };
const load = async (file) => (await import(pathToFileURL(`${core}/${file}`))).default;
const Websock = await load("websock.js");
const RA2 = await load("ra2.js");

const conn = net.connect(Number(port), "127.0.0.1");
const channel = {
    binaryType: "arraybuffer", protocol: "", readyState: "open",
    onopen: null, onmessage: null, onerror: null, onclose: null,
    send: (data) => conn.write(Buffer.from(data)), // a copy: the socket uses its own again
    close: () => conn.end(),
};
const sock = new Websock();
sock.attach(channel);

let wake = () => {};
let ra2 = null;
sock.on("message", () => {
    wake();
    if (ra2) ra2.checkInternalEvents();
});
conn.on("data", (data) => channel.onmessage({ data: new Uint8Array(data).buffer }));
conn.on("close", () => setTimeout(() => fail("the connection ended"), 100));

function fail(why) {
    console.log("failed: " + why);
    process.exit(1);
}

async function need(n) {
    while (sock.rQwait("message", n)) await new Promise((resolve) => { wake = resolve; });
}

async function text() {
    await need(4);
    const length = sock.rQshift32();
    await need(length);
    return sock.rQshiftStr(length);
}

await need(12);
sock.sQpushString(sock.rQshiftStr(12));
sock.flush();
await need(1);
const types = sock.rQshift8();
await need(types);
if (!sock.rQshiftBytes(types).includes(6)) fail("RA2ne is not offered");
sock.sQpush8(6);
sock.flush();

ra2 = new RA2(sock, () => ({ password: process.env.PASSWORD }));
let key = null;
ra2.addEventListener("serververification", (event) => {
    key = event.detail.publickey;
    queueMicrotask(() => ra2.approveServer());
});
await ra2.negotiateRA2neAuthAsync().catch((error) => fail(error.message));
ra2 = null;

await need(4);
if (sock.rQshift32() !== 0) fail(await text());
sock.sQpush8(1);
sock.flush();
await need(20);
sock.rQskipBytes(20);
const name = await text();
const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", key));
console.log(`name ${name}`);
console.log(`key ${Buffer.from(digest).toString("hex")}`);
process.exit(0);

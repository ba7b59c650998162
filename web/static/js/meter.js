// How fast the picture comes: whole updates drawn in the last second, and the
// time that a fence takes to the service and back (rfbproto 7.4.7). A fence
// goes where keys and pictures go, in their turn, so it is what hands feel of
// the way to the service.

const interval = 1000; // ms

// Meter fires "measure" each second while the console is seen and connected.
export class Meter extends EventTarget {
	constructor(connection) {
		super();
		this.frames = 0; // per second, the last one
		this.latency = null; // ms, null where it is not known
		let drawn = 0, since = performance.now(), turn = 0;
		connection.addEventListener("rfb", ({ detail: rfb }) => {
			this.latency = null;
			rfb.addEventListener("frame", () => { drawn++; });
			rfb.addEventListener("latency", ({ detail }) => { this.latency = detail; });
		});
		setInterval(() => {
			const now = performance.now();
			this.frames = Math.round(drawn * 1000 / Math.max(1, now - since));
			drawn = 0;
			since = now;
			if (document.hidden || !connection.connected()) {
				return;
			}
			if (turn++ % 2 === 0) {
				connection.rfb?.ping();
			}
			this.dispatchEvent(new CustomEvent("measure"));
		}, interval);
	}
}

// noVNC's RFB with more to tell: "frame", a whole update with pixels in it is
// in the canvas; "key", a key was sent; "latency", how long a fence took to the
// server and back. noVNC has none of these, so some of its inner methods are
// watched; web_test.go checks that the pinned version has them.

import RFB from "../novnc/core/rfb.js";

export default class Screen extends RFB {
	_handleDataRect() {
		const done = super._handleDataRect();
		this.hasPixels ||= done;
		return done;
	}

	_framebufferUpdate() {
		const done = super._framebufferUpdate();
		if (done && this.hasPixels) {
			this.hasPixels = false;
			// Rectangles that are still being decoded are drawn in order.
			this._display.flush().then(() => this.dispatchEvent(new CustomEvent("frame")));
		}
		return done;
	}

	sendKey(keysym, code, down) {
		super.sendKey(keysym, code, down);
		if (down !== undefined) { // otherwise it calls itself for both
			this.dispatchEvent(new CustomEvent("key", { detail: { keysym, code, down } }));
		}
	}

	// ping asks the server for a sign of life, which goes the way that keys go
	// and comes back the way that pictures come. Servers without fences are
	// not asked.
	ping() {
		if (this._supportsFence && !this.asked) {
			this.asked = performance.now();
			RFB.messages.clientFence(this._sock, 1 << 31, "");
		}
	}

	// noVNC sends no fence and takes an answer to one for an error.
	_handleServerFenceMsg() {
		const header = 8; // padding 3, flags 4, length 1
		if (this._sock.rQwait("ServerFence header", header, 1)) {
			return false;
		}
		const head = this._sock.rQpeekBytes(header);
		if (head[3] & 0x80 || !this.asked) {
			return super._handleServerFenceMsg();
		}
		if (this._sock.rQwait("ServerFence payload", header + head[7], 1)) {
			return false;
		}
		this._sock.rQskipBytes(header + head[7]);
		const taken = performance.now() - this.asked;
		this.asked = 0;
		this.dispatchEvent(new CustomEvent("latency", { detail: taken }));
		return true;
	}
}

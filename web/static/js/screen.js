// noVNC's RFB with one more event, "frame": a whole update with pixels in it
// is in the canvas. noVNC has no event for that, so two of its inner methods
// are watched; web_test.go checks that the pinned version has them.

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
}

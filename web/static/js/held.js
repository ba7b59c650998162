// Modifier keys that are held by the page, for hands that have no such key or
// whose browser keeps it. A press holds one until the next key, a second one
// until it is pressed again.

import KeyTable from "../novnc/core/input/keysym.js";

export const modifiers = {
	Ctrl: [KeyTable.XK_Control_L, "ControlLeft"],
	Alt: [KeyTable.XK_Alt_L, "AltLeft"],
	Shift: [KeyTable.XK_Shift_L, "ShiftLeft"],
	AltGr: [KeyTable.XK_ISO_Level3_Shift, "AltRight"],
	Super: [KeyTable.XK_Super_L, "MetaLeft"],
};

const codes = /^(Control|Alt|Shift|Meta|OS)(Left|Right)$/;

// Held fires "change" when another set of keys is held.
export class Held extends EventTarget {
	constructor(connection) {
		super();
		this.connection = connection;
		this.down = new Map(); // name to "once" or "locked"
		connection.addEventListener("rfb", ({ detail: rfb }) => {
			rfb.addEventListener("key", ({ detail: { code, down } }) => {
				if (!down && !codes.test(code)) {
					this.release("once");
				}
			});
		});
		// A session that ends lets go of all keys.
		connection.addEventListener("state", () => {
			if (!connection.connected() && this.down.size > 0) {
				this.down.clear();
				this.changed();
			}
		});
	}

	press(name) {
		const how = this.down.get(name);
		if (how === "locked") {
			this.let(name);
		} else if (how === "once") {
			this.down.set(name, "locked");
		} else {
			this.down.set(name, "once");
			this.connection.rfb?.sendKey(...modifiers[name], true);
		}
		this.changed();
	}

	// release lets go of all keys, or of those that are held that way.
	release(how) {
		const names = [...this.down.keys()].filter((name) => !how || this.down.get(name) === how);
		if (names.length > 0) {
			names.forEach((name) => this.let(name));
			this.changed();
		}
	}

	let(name) {
		this.down.delete(name);
		this.connection.rfb?.sendKey(...modifiers[name], false);
	}

	changed() {
		this.dispatchEvent(new CustomEvent("change"));
	}

	// follow keeps the buttons below root that name a modifier in line.
	follow(root) {
		for (const button of root.querySelectorAll("[data-held]")) {
			const name = button.dataset.held;
			button.addEventListener("click", () => this.press(name));
			this.addEventListener("change", () => {
				button.setAttribute("aria-pressed", String(this.down.has(name)));
				button.classList.toggle("locked", this.down.get(name) === "locked");
			});
		}
	}
}

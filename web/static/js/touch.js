// Typing on a device without keys. Its on-screen keyboard shows for a text
// field only, so there is one, out of sight: what appears in it is typed at
// the console. Keys that such keyboards lack are buttons.

import Keyboard from "../novnc/core/input/keyboard.js";
import KeyTable from "../novnc/core/input/keysym.js";
import keysyms from "../novnc/core/input/keysymdef.js";

// The field is never empty, so that a backspace changes it.
const padding = "_".repeat(64);

const buttons = {
	Esc: [KeyTable.XK_Escape, "Escape"],
	Tab: [KeyTable.XK_Tab, "Tab"],
	Ctrl: [KeyTable.XK_Control_L, "ControlLeft"],
	Alt: [KeyTable.XK_Alt_L, "AltLeft"],
	Del: [KeyTable.XK_Delete, "Delete"],
	Left: [KeyTable.XK_Left, "ArrowLeft"],
	Up: [KeyTable.XK_Up, "ArrowUp"],
	Down: [KeyTable.XK_Down, "ArrowDown"],
	Right: [KeyTable.XK_Right, "ArrowRight"],
};

const held = new Set(["Ctrl", "Alt"]); // these stay down until the next key

export class TouchKeyboard {
	// field is the text field, row the element with the buttons, and send a
	// function like RFB.sendKey.
	constructor(field, row, send) {
		this.field = field;
		this.row = row;
		this.send = send;
		this.down = new Set(); // which of held are down

		// Real keys, and some on-screen ones, come as key events.
		const keyboard = new Keyboard(field);
		const pressed = new Set();
		keyboard.onkeyevent = (keysym, code, down) => {
			this.send(keysym, code, down);
			if (down) {
				pressed.add(code);
			} else {
				pressed.delete(code);
				this.release();
			}
		};
		keyboard.grab();
		// Such a key is typed already and must not reach the field as well.
		field.addEventListener("beforeinput", (event) => {
			if (pressed.size > 0 && event.cancelable) {
				event.preventDefault();
			}
		});
		field.addEventListener("input", (event) => this.typed(event));
		field.addEventListener("blur", () => this.release());
		for (const button of row.querySelectorAll("button[data-key]")) {
			// The field keeps the focus, or the keyboard would go away.
			button.addEventListener("pointerdown", (event) => event.preventDefault());
			button.addEventListener("click", () => this.press(button));
		}
		this.reset();
	}

	show() {
		this.row.hidden = false;
		this.field.focus({ preventScroll: true });
	}

	hide() {
		this.row.hidden = true;
		this.field.blur();
	}

	reset() {
		this.before = this.field.value = padding;
		this.field.setSelectionRange(padding.length, padding.length);
	}

	// typed types how the field's text differs from what it was.
	typed(event) {
		const now = this.field.value;
		let same = 0;
		while (same < now.length && same < this.before.length && now[same] === this.before[same]) {
			same++;
		}
		for (let i = same; i < this.before.length; i++) {
			this.send(KeyTable.XK_BackSpace, "Backspace");
		}
		for (const char of now.slice(same)) {
			if (char === "\n") {
				this.send(KeyTable.XK_Return, "Enter");
			} else {
				this.send(keysyms.lookup(char.codePointAt(0)), null);
			}
		}
		this.before = now;
		this.release();
		if (!event.isComposing && (now.length < 8 || now.length > 200)) {
			this.reset();
		}
	}

	press(button) {
		const name = button.dataset.key;
		const [keysym, code] = buttons[name];
		if (!held.has(name)) {
			this.send(keysym, code);
			this.release();
			return;
		}
		const down = !this.down.has(name);
		this.send(keysym, code, down);
		this.down[down ? "add" : "delete"](name);
		button.setAttribute("aria-pressed", String(down));
	}

	// release lets go of the keys that were held for one other key.
	release() {
		for (const name of this.down) {
			this.send(...buttons[name], false);
			this.row.querySelector(`[data-key="${name}"]`).setAttribute("aria-pressed", "false");
		}
		this.down.clear();
	}
}

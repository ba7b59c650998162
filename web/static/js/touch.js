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
	Del: [KeyTable.XK_Delete, "Delete"],
	Left: [KeyTable.XK_Left, "ArrowLeft"],
	Up: [KeyTable.XK_Up, "ArrowUp"],
	Down: [KeyTable.XK_Down, "ArrowDown"],
	Right: [KeyTable.XK_Right, "ArrowRight"],
};

export class TouchKeyboard {
	// field is the text field, row the element with the buttons, send a
	// function like RFB.sendKey, and held the modifiers that the page holds.
	constructor(field, row, send, held) {
		this.field = field;
		this.row = row;
		this.send = send;
		// Real keys, and some on-screen ones, come as key events.
		const keyboard = new Keyboard(field);
		const pressed = new Set();
		keyboard.onkeyevent = (keysym, code, down) => {
			this.send(keysym, code, down);
			if (down) {
				pressed.add(code);
			} else {
				pressed.delete(code);
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
		field.addEventListener("blur", () => held.release("once"));
		// The field keeps the focus, or the keyboard would go away.
		row.addEventListener("pointerdown", (event) => event.preventDefault());
		for (const button of row.querySelectorAll("button[data-key]")) {
			button.addEventListener("click", () => this.send(...buttons[button.dataset.key]));
		}
		held.follow(row);
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
		if (!event.isComposing && (now.length < 8 || now.length > 200)) {
			this.reset();
		}
	}
}

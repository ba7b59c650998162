// The panel of special keys: those that a browser or a desktop keeps for
// itself, or that a keyboard does not have.

import KeyTable from "../novnc/core/input/keysym.js";
import { $, make } from "./dom.js";
import { modifiers } from "./held.js";
import { ask } from "./ask.js";

const named = {
	...modifiers,
	Delete: [KeyTable.XK_Delete, "Delete"],
	Backspace: [KeyTable.XK_BackSpace, "Backspace"],
	Tab: [KeyTable.XK_Tab, "Tab"],
	Escape: [KeyTable.XK_Escape, "Escape"],
	Insert: [KeyTable.XK_Insert, "Insert"],
	Pause: [KeyTable.XK_Pause, "Pause"],
	// The key is SysRq as well: with Alt it is that.
	Print: [KeyTable.XK_Print, "PrintScreen"],
	Menu: [KeyTable.XK_Menu, "ContextMenu"],
};
for (let n = 1; n <= 24; n++) {
	named[`F${n}`] = [KeyTable.XK_F1 + n - 1, `F${n}`];
}

const shortcuts = [
	["Ctrl+Alt+Del", "Ctrl+Alt+Delete", "primary"],
	["Alt+Tab", "Alt+Tab"],
	["Alt+F4", "Alt+F4"],
	["Super", "Super"],
	["Print Screen", "Print"],
	["Escape", "Escape"],
	["Insert", "Insert"],
	["Pause", "Pause"],
	["Menu", "Menu"],
];

// What Linux does at Alt+SysRq and a letter, by the letters of "REISUB" and
// some more; where the third says so, work may be lost.
const sysRq = [
	["h", "Show the list of commands"],
	["r", "Take the keyboard from the display server"],
	["k", "Kill everything on this terminal", "Programs on this terminal are killed without being asked."],
	["f", "Kill what uses most memory", "One program is killed without being asked."],
	["e", "Ask all programs to end", "All programs but init are told to end."],
	["i", "Kill all programs", "All programs but init are killed without being asked."],
	["s", "Write all data to the disks"],
	["u", "Make the disks read-only", "Programs cannot write any more until the machine is started again."],
	["b", "Restart at once", "The machine restarts without writing its data and without stopping anything."],
	["o", "Power off at once", "The machine goes off without writing its data and without stopping anything."],
	["c", "Crash, for a kernel dump", "The kernel is made to crash. What the machine does next is up to its settings."],
];

// chord sends keys that are pressed in turn and let go in reverse, such as
// "Ctrl+Alt+Delete". A single letter is the key of that letter.
export function chord(rfb, keys) {
	const all = keys.split("+").map((key) => named[key] || [key.charCodeAt(0), `Key${key.toUpperCase()}`]);
	all.forEach(([keysym, code]) => rfb?.sendKey(keysym, code, true));
	all.reverse().forEach(([keysym, code]) => rfb?.sendKey(keysym, code, false));
}

export function keysPanel(connection, held) {
	const send = (keys, event) => {
		chord(connection.rfb, keys);
		// Who walks the panel with keys stays there.
		if (event?.detail > 0) {
			connection.focus();
		}
	};
	const key = (label, keys, { className = "", ...more } = {}) => {
		const button = make("button", { type: "button", className, textContent: label, ...more });
		button.dataset.keys = keys;
		button.addEventListener("click", (event) => send(keys, event));
		return button;
	};
	for (const [label, keys, className] of shortcuts) {
		$("keys-shortcuts").append(key(label, keys, { className }));
	}
	for (let n = 1; n <= 24; n++) {
		$("keys-functions").append(key(`F${n}`, `F${n}`));
	}
	for (let n = 1; n <= 12; n++) {
		$("keys-terminals").append(key(`F${n}`, `Ctrl+Alt+F${n}`, { "aria-label": `Ctrl+Alt+F${n}` }));
	}
	for (const [letter, what, warning] of sysRq) {
		const button = make("button", { type: "button", className: warning ? "harm" : "" },
			make("kbd", { textContent: letter.toUpperCase() }), make("span", { textContent: what }));
		button.dataset.keys = `Alt+Print+${letter}`;
		button.addEventListener("click", async (event) => {
			const title = `${what}?`;
			const text = `${warning} This is Alt+SysRq+${letter.toUpperCase()}, which a Linux kernel heeds where kernel.sysrq allows it.`;
			if (!warning || await ask({ title, text, yes: "Send the keys" })) {
				send(button.dataset.keys, event);
			}
		});
		$("keys-sysrq").append(button);
	}
	held.follow($("panel-keys"));
	// What is held stays held while one looks for the key; not for ever.
	window.addEventListener("pagehide", () => held.release());
}

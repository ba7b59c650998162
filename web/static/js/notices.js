// Notices over the console's picture: what happened, what is about to, and
// what one can do about it. Each has a name, and there is one of a name.

import { make, say } from "./dom.js";

const shown = new Map(); // by name

// notice shows a notice, or changes the one of that name.
//
//	text     what it says; detail goes beside it and is not read aloud
//	tone     "" or "warn" or "bad"
//	actions  [label, function] for each button, the first the main one
//	last     ms until it goes by itself; it also gets a button to close it
export function notice(name, { text, detail = "", tone = "", actions = [], last = 0 }) {
	let it = shown.get(name);
	if (!it || it.actions !== actions.map(([label]) => label).join()) {
		dismiss(name);
		it = build(name, actions, last);
		shown.set(name, it);
		document.getElementById("notices").append(it.element);
	}
	it.element.dataset.tone = tone;
	if (tone === "bad") {
		it.text.setAttribute("role", "alert");
	}
	// A live region tells of what changes in it, not of what it comes with.
	requestAnimationFrame(() => say(it.text, text));
	say(it.detail, detail);
	clearTimeout(it.timer);
	if (last) {
		it.timer = setTimeout(() => dismiss(name), last);
	}
}

function build(name, actions, last) {
	const text = make("p", { className: "notice-text", role: "status" });
	const detail = make("span", { className: "notice-detail", "aria-live": "off" });
	const buttons = make("div", { className: "notice-actions" });
	const element = make("div", { className: "notice" }, text, detail);
	element.dataset.notice = name;
	actions.forEach(([label, act], i) => {
		const button = make("button", { type: "button", className: i === 0 ? "primary" : "", textContent: label });
		button.addEventListener("click", act);
		buttons.append(button);
	});
	if (actions.length > 0) {
		element.append(buttons);
	}
	if (last) {
		const close = make("button", { type: "button", className: "notice-close", "aria-label": "Close this notice", textContent: "×" });
		close.addEventListener("click", () => dismiss(name));
		element.append(close);
	}
	return { element, text, detail, actions: actions.map(([label]) => label).join(), timer: 0 };
}

export function dismiss(name) {
	const it = shown.get(name);
	clearTimeout(it?.timer);
	it?.element.remove();
	shown.delete(name);
}

// failed tells of something asked for that did not succeed.
export function failed(what, err) {
	notice("failed", { text: `${what} ${err.message}`, tone: "bad", last: 12000 });
}

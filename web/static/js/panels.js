// The sheet beside the picture (below it on a phone) with one panel at a time,
// and the buttons that open them.

import { $ } from "./dom.js";

// A touch on a panel's button should not bring the on-screen keyboard up.
const touch = matchMedia("(pointer: coarse)");

// Panels fires "open" with the panel's name, and "close".
export class Panels extends EventTarget {
	constructor(connection) {
		super();
		this.connection = connection;
		this.current = "";
		this.buttons = new Map([...document.querySelectorAll("[data-panel]")].map((b) => [b.dataset.panel, b]));
		for (const [name, button] of this.buttons) {
			button.addEventListener("click", () => (this.current === name ? this.close() : this.open(name)));
		}
		$("side-close").addEventListener("click", () => this.close());
		$("side").addEventListener("keydown", (event) => {
			if (event.key === "Escape" && !event.defaultPrevented) {
				event.preventDefault();
				this.close();
			}
		});
		// Arrow keys walk along the buttons, as in any tool bar.
		$("tools").addEventListener("keydown", (event) => {
			const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
			const all = [...$("tools").querySelectorAll("button")].filter((b) => b.offsetParent && !b.disabled);
			const at = all.indexOf(document.activeElement);
			if (step && at >= 0) {
				event.preventDefault();
				all[(at + step + all.length) % all.length].focus();
			}
		});
	}

	open(name) {
		const button = this.buttons.get(name);
		if (button.hidden) {
			return;
		}
		this.show(name);
		const panel = $(`panel-${name}`);
		const field = touch.matches ? null : panel.querySelector("[data-first]:not(:disabled)");
		(field || $("side-title")).focus({ preventScroll: true });
		this.dispatchEvent(new CustomEvent("open", { detail: name }));
	}

	// close puts the sheet away; the focus goes to its button where it was in
	// the sheet and came there by keys, else to the console.
	close() {
		if (!this.current) {
			return;
		}
		const button = this.buttons.get(this.current);
		const byKeys = document.activeElement?.matches(":focus-visible") && $("side").contains(document.activeElement);
		this.show("");
		if (byKeys && !button.hidden) {
			button.focus();
		} else {
			this.connection.focus();
		}
		this.dispatchEvent(new CustomEvent("close"));
	}

	show(name) {
		this.current = name;
		for (const [other, button] of this.buttons) {
			button.setAttribute("aria-expanded", String(other === name));
			$(`panel-${other}`).hidden = other !== name;
		}
		$("side").hidden = !name;
		document.documentElement.dataset.open = name;
		if (name) {
			$("side-title").textContent = this.buttons.get(name).dataset.title;
			$("side-body").scrollTop = 0;
		}
	}

	// offer shows or hides a panel's button, with the panel where it is open.
	offer(name, yes) {
		this.buttons.get(name).hidden = !yes;
		if (!yes && this.current === name) {
			this.close();
		}
	}
}

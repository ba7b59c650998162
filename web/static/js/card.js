// One node on the fleet page: its screen, its state in words, and the ways
// into its console.

import * as api from "./api.js";
import { thumbnails } from "./thumbnails.js";

const words = {
	cold: ["Not running", "It starts when you open it."],
	starting: ["Starting", "Starting the console…"],
	live: ["Live", "Live"],
	lost: ["Lost", "The console was lost."],
	failed: ["Failed", "The console could not be started."],
	off: ["Switched off", "This console is switched off."],
};

export class Card {
	constructor(name, template) {
		this.element = template.content.firstElementChild.cloneNode(true);
		this.node = { name };
		this.part(".name").textContent = name;
		this.part(".name").title = name;
		this.part(".open").addEventListener("click", (event) => this.open("operate", event));
		this.part(".view").addEventListener("click", (event) => this.open("view", event));
		this.part(".view").setAttribute("aria-label", `View ${name} only`);
		this.thumbnail = thumbnails.add(this.element, this.part(".picture"), name);
	}

	part(selector) {
		return this.element.querySelector(selector);
	}

	// update shows what the service said last about the node.
	update(node) {
		this.node = node;
		const state = node.console_enabled === false ? "off" : node.state;
		const [short, long] = words[state] || [state, state];
		this.element.dataset.state = state;
		this.part(".sign").dataset.state = state;
		this.text(".state-word", short);
		this.text(".words", sentence(node.reason || long));
		this.text(".retry", retryText(node.retry_at));
		this.text(".detail", this.detail(node, state));
		const label = `Open ${node.name}: ${short}${node.reason ? `, ${node.reason}` : ""}`;
		const open = this.part(".open");
		if (open.getAttribute("aria-label") !== label) {
			open.setAttribute("aria-label", label);
		}
		open.disabled = this.part(".view").disabled = state === "off";
		this.thumbnail.live(state === "live");
	}

	detail(node, state) {
		const viewers = node.viewers > 0 ? `${node.viewers} ${node.viewers === 1 ? "viewer" : "viewers"}` : "";
		const size = state === "live" && node.width > 0 ? `${node.width} × ${node.height}` : "";
		return [viewers, size].filter(Boolean).join(" · ");
	}

	// text sets a part's text where it differs, so that nothing is laid out
	// or read aloud again for nothing.
	text(selector, text) {
		const part = this.part(selector);
		if (part.textContent !== text) {
			part.textContent = text;
			part.title = text;
		}
	}

	// matches says whether the search's words are all in what the card shows.
	matches(wanted) {
		const hay = `${this.node.name} ${this.node.uuid || ""} ${this.part(".state-word").textContent} ${this.node.state}`.toLowerCase();
		return wanted.toLowerCase().split(/\s+/).every((word) => hay.includes(word));
	}

	// open goes to the node's console, in a new tab where the click asks so.
	async open(mode, event) {
		const refusal = this.part(".refusal");
		refusal.hidden = true;
		// A tab must be opened during the click, and gets its address later.
		const tab = event.ctrlKey || event.metaKey || event.shiftKey ? window.open("about:blank", "_blank") : null;
		try {
			const url = await api.openConsole(this.node.name, mode);
			(tab || window).location.assign(url);
		} catch (err) {
			tab?.close();
			refusal.textContent = err.message;
			refusal.hidden = false;
		}
	}

	remove() {
		this.thumbnail.remove();
		this.element.remove();
	}
}

// sentence is text with a capital at its beginning, as the console shows it:
// a reason often is an error, which begins with a small letter.
function sentence(text) {
	return text.replace(/^[a-z]/, (letter) => letter.toUpperCase());
}

function retryText(at) {
	const left = at ? Math.ceil((Date.parse(at) - Date.now()) / 1000) : 0;
	return left > 0 ? `Next try in ${left} s` : "";
}

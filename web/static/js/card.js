// One node on the fleet page: its screen, its state in words, the ways into
// its console, and its switch.

import * as api from "./api.js";
import { ask } from "./ask.js";
import { sentence } from "./dom.js";
import { thumbnails } from "./thumbnails.js";

const words = {
	cold: ["Not running", "It starts when you open it."],
	starting: ["Starting", "Starting the console…"],
	live: ["Live", "Live"],
	lost: ["Lost", "The console was lost."],
	failed: ["Failed", "The console could not be started."],
	off: ["Switched off", "This console is switched off."],
};

const powers = { on: "Power on", off: "Power off" };

export class Card {
	constructor(name, template) {
		this.element = template.content.firstElementChild.cloneNode(true);
		this.node = { name };
		this.state = "";
		this.hay = "";
		// The parts are looked up once: there may be hundreds of cards.
		this.parts = new Map();
		this.part(".name").textContent = name;
		this.part(".name").title = name;
		this.part(".open").addEventListener("click", (event) => this.open("operate", event));
		this.part(".view").addEventListener("click", (event) => this.open("view", event));
		this.part(".view").setAttribute("aria-label", `View ${name} only`);
		this.part(".switch").addEventListener("click", () => this.flip());
		this.part(".recordings").href = `replay.html?node=${encodeURIComponent(name)}`;
		this.part(".recordings").setAttribute("aria-label", `Recordings of ${name}`);
		this.thumbnail = thumbnails.add(this.element, this.part(".picture"), name);
	}

	part(selector) {
		let part = this.parts.get(selector);
		if (!part) {
			part = this.element.querySelector(selector);
			this.parts.set(selector, part);
		}
		return part;
	}

	// update shows what the service said last about the node.
	update(node) {
		this.node = node;
		const state = this.state = node.console_enabled === false ? "off" : node.state;
		const [short, long] = words[state] || [state, state];
		this.hay = `${node.name} ${node.uuid || ""} ${short} ${node.state}`.toLowerCase();
		if (this.element.dataset.state !== state) {
			this.element.dataset.state = state;
			this.part(".sign").dataset.state = state;
		}
		this.text(".state-word", short);
		this.text(".words", sentence(node.reason || long));
		this.text(".retry", retryText(node.retry_at));
		this.text(".detail", this.detail(node, state));
		const power = powers[node.power?.state];
		this.hide(".power", !power);
		if (power) {
			this.part(".power-sign").dataset.state = node.power.state;
			this.text(".power-word", power);
		}
		this.hide(".recordings", !node.recording?.mode || node.recording.mode === "off");
		const off = state === "off";
		this.text(".switch", off ? "Switch on" : "Switch off");
		this.label(".switch", `${off ? "Switch on" : "Switch off"} the console of ${node.name}`);
		this.label(".open", `Open ${node.name}: ${short}${node.reason ? `, ${node.reason}` : ""}`);
		this.part(".open").disabled = this.part(".view").disabled = off;
		this.thumbnail.live(state === "live");
	}

	detail(node, state) {
		const viewers = node.viewers > 0 ? `${node.viewers} ${node.viewers === 1 ? "viewer" : "viewers"}` : "";
		const size = state === "live" && node.width > 0 ? `${node.width} × ${node.height}` : "";
		return [viewers, node.operator ? `${node.operator} operates` : "", size].filter(Boolean).join(" · ");
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

	hide(selector, yes) {
		const part = this.part(selector);
		if (part.hidden !== yes) {
			part.hidden = yes;
		}
	}

	label(selector, text) {
		const part = this.part(selector);
		if (part.getAttribute("aria-label") !== text) {
			part.setAttribute("aria-label", text);
		}
	}

	// matches says whether all words of a search, in small letters, are in what
	// the card shows.
	matches(wanted) {
		return wanted.every((word) => this.hay.includes(word));
	}

	// open goes to the node's console, in a new tab where the click asks so.
	async open(mode, event) {
		this.hide(".refusal", true);
		// A tab must be opened during the click, and gets its address later.
		const tab = event.ctrlKey || event.metaKey || event.shiftKey ? window.open("about:blank", "_blank") : null;
		try {
			const url = await api.openConsole(this.node.name, mode);
			(tab || window).location.assign(url);
		} catch (err) {
			tab?.close();
			this.refuse(err);
		}
	}

	// flip switches the console on or off.
	async flip() {
		const { name, viewers } = this.node;
		const on = this.state === "off";
		const people = viewers > 0 ? ` ${viewers === 1 ? "One person is" : `${viewers} people are`} looking at it.` : "";
		if (!on && !await ask({
			title: `Switch off the console of ${name}?`,
			text: `It ends for everybody, and all links to it become void.${people} The machine itself goes on.`,
			yes: "Switch off",
		})) {
			return;
		}
		this.hide(".refusal", true);
		this.part(".switch").disabled = true;
		try {
			await api.switchConsole(name, on);
			this.element.dispatchEvent(new CustomEvent("switched", { bubbles: true }));
		} catch (err) {
			this.refuse(err);
		} finally {
			this.part(".switch").disabled = false;
		}
	}

	refuse(err) {
		this.part(".refusal").textContent = err.message;
		this.hide(".refusal", false);
	}

	remove() {
		this.thumbnail.remove();
		this.element.remove();
	}
}

function retryText(at) {
	const left = at ? Math.ceil((Date.parse(at) - Date.now()) / 1000) : 0;
	return left > 0 ? `Next try in ${left} s` : "";
}

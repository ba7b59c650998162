// The list of one node's recordings.

import * as api from "./api.js";
import { moment, size, span, spoken } from "./times.js";

const $ = (id) => document.getElementById(id);

const interval = 4000; // ms between two looks while something is recorded

const rows = new Map(); // by the recording's id
let node = "";
let timer = 0;

const path = (id = "") => `v1/nodes/${encodeURIComponent(node)}/console/recordings${id && `/${encodeURIComponent(id)}`}`;

// list shows the recordings of a node.
export function list(name) {
	node = name;
	$("list").hidden = false;
	document.documentElement.dataset.state = "list";
	if (!node) {
		$("list-which").hidden = false;
		return;
	}
	$("list-node").textContent = node;
	document.title = `Recordings of ${node} · ironglass`;
	signIn();
	document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
	window.addEventListener("pageshow", (event) => { if (event.persisted) look(); });
	look();
}

// look fetches the list once and shows it.
async function look() {
	clearTimeout(timer);
	let under = false;
	try {
		const { recordings } = await (await api.request(path())).json();
		show(recordings);
		under = recordings.some((r) => !r.ended);
		document.documentElement.dataset.state = "list";
	} catch (err) {
		document.documentElement.dataset.state = "trouble";
		if (err instanceof api.Refused && err.status === 401) {
			askForToken();
			return;
		}
		$("trouble").hidden = false;
		$("trouble").textContent = err instanceof api.Refused ? err.message : "The service does not answer. It may be restarting; this page tries again by itself.";
		under = !(err instanceof api.Refused);
	}
	if (under && !document.hidden) {
		timer = setTimeout(look, interval);
	}
}

function show(recordings) {
	$("trouble").hidden = true;
	$("list-empty").hidden = recordings.length > 0;
	const bytes = recordings.reduce((sum, r) => sum + r.bytes, 0);
	const summary = recordings.length ? `${recordings.length} · ${size(bytes)}` : "";
	if ($("list-summary").textContent !== summary) {
		$("list-summary").textContent = summary;
	}
	const gone = new Set(rows.keys());
	let before = null;
	for (const r of recordings) {
		gone.delete(r.id);
		let row = rows.get(r.id);
		if (!row) {
			row = new Row(r.id);
			rows.set(r.id, row);
		}
		row.update(r);
		const place = before ? before.nextElementSibling : $("recordings").firstElementChild;
		if (row.element !== place) {
			$("recordings").insertBefore(row.element, place);
		}
		before = row.element;
	}
	for (const id of gone) {
		rows.get(id).element.remove();
		rows.delete(id);
	}
}

// Row is one recording in the list.
class Row {
	constructor(id) {
		this.id = id;
		this.element = $("recording").content.firstElementChild.cloneNode(true);
		this.sure = 0; // the timer during which a second click removes
		this.part(".watch").addEventListener("click", (event) => this.watch(event));
		this.part(".save").addEventListener("click", () => this.save());
		this.part(".remove").addEventListener("click", () => this.remove());
	}

	part(selector) {
		return this.element.querySelector(selector);
	}

	text(selector, text) {
		const part = this.part(selector);
		if (part.textContent !== text) {
			part.textContent = text;
		}
	}

	// update shows what the service says of the recording.
	update(r) {
		const began = moment(new Date(r.began));
		this.text(".began", began);
		this.text(".lasted", r.ended ? span(r.seconds) : `${span(r.seconds)} so far`);
		this.text(".facts", [
			`${r.width} × ${r.height}`, size(r.bytes),
			r.mode === "ring" ? "last minutes" : "", r.ended ? "" : "being recorded",
		].filter(Boolean).join(" · "));
		this.element.classList.toggle("under-way", !r.ended);
		this.part(".watch").setAttribute("aria-label", `Play the recording of ${began}, ${spoken(r.seconds)}`);
		this.part(".save").setAttribute("aria-label", `Download the recording of ${began}`);
		const remove = this.part(".remove");
		remove.disabled = !r.ended;
		remove.title = r.ended ? "" : "It is being recorded.";
		if (!this.sure) {
			remove.setAttribute("aria-label", `Delete the recording of ${began}`);
		}
	}

	// replay asks for a replay, and returns the address of its page.
	async replay() {
		const { url } = await (await api.request(`${path(this.id)}/replay`, { method: "POST" })).json();
		// Only what is in the fragment is taken: this page is the place.
		const page = new URL(document.location.href);
		page.search = "";
		page.hash = new URL(url, page).hash;
		return page;
	}

	// attempt does something and says why it cannot be done.
	async attempt(action) {
		this.part(".refusal").hidden = true;
		try {
			await action();
		} catch (err) {
			this.part(".refusal").textContent = err.message;
			this.part(".refusal").hidden = false;
		}
	}

	watch(event) {
		// A tab must be opened during the click, and gets its address later.
		const tab = event.ctrlKey || event.metaKey || event.shiftKey ? window.open("about:blank", "_blank") : null;
		return this.attempt(async () => {
			try {
				(tab || window).location.assign(await this.replay());
			} catch (err) {
				tab?.close();
				throw err;
			}
		});
	}

	save() {
		return this.attempt(async () => {
			const page = await this.replay();
			const link = document.createElement("a");
			link.href = new URL(`replay/download?${page.hash.slice(1)}`, document.baseURI);
			link.download = "";
			link.click();
		});
	}

	// remove needs a second click soon after the first.
	remove() {
		const button = this.part(".remove");
		clearTimeout(this.sure);
		if (!this.sure) {
			button.textContent = "Really delete?";
			button.removeAttribute("aria-label");
			this.sure = setTimeout(() => {
				this.sure = 0;
				button.textContent = "Delete";
			}, 4000);
			return;
		}
		this.attempt(async () => {
			await api.request(path(this.id), { method: "DELETE" });
			await look();
		});
	}
}

function askForToken() {
	$("sign-in-wrong").hidden = !api.credential.get();
	api.credential.set("");
	if (!$("sign-in").open) {
		$("sign-in").showModal();
	}
	$("sign-in-token").value = "";
	$("sign-in-token").focus();
}

function signIn() {
	$("sign-in-form").addEventListener("submit", (event) => {
		event.preventDefault();
		api.credential.set($("sign-in-token").value.trim());
		$("sign-in").close();
		look();
	});
	// Without the token there is nothing behind the dialog.
	$("sign-in").addEventListener("cancel", (event) => event.preventDefault());
}

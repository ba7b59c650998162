// The connection to one console: it is made again by itself when it breaks,
// and given up where the service says that it will never be.

import Screen from "./screen.js";
import { problemOf } from "./api.js";

const firstWait = 500; // ms before the first new try
const longestWait = 15000;
const patience = 20000; // ms for a connection to be made

// Close codes by which the service says that trying again is of no use: the
// console was stopped, which makes its tokens void, or may not be seen.
const final = new Set([1008, 4001, 4401, 4403, 4404]);

// Close codes after which a new try is this page's reader's to start, with
// what the page is headed and what it offers.
const ended = new Map([
	[4002, ["This console's time is over", "Open it again", "It was closed after a time without keyboard or mouse."]],
	[4003, ["This console is open in another window", "Use it here", "The other window has taken its place over."]],
]);

// Connection fires "state" whenever state, reason or retryAt changed, "name"
// when the desktop's name is known, "rfb" with noVNC's object of each new try,
// and "frame" when a first picture has been drawn after connecting.
//
// The states: connecting, connected, reconnecting (it broke; a new try comes
// at retryAt), ended (the service closed it and would open it again), refused
// (the token is of no use any more).
export class Connection extends EventTarget {
	constructor(target, address) {
		super();
		this.target = target;
		this.address = address;
		this.state = "connecting";
		this.reason = "";
		this.title = ""; // what the page is headed where it is ended or refused
		this.offer = ""; // what the button says that connects again
		this.parameters = {}; // further ones of the websocket's address
		this.retryAt = 0; // ms since 1970, 0 while no try is planned
		this.rfb = null; // noVNC's object of the present try
		this.options = {}; // properties of rfb that outlive a try
		this.last = null; // the element with the last picture, after a break
		this.wait = firstWait;
		this.timer = 0;
	}

	// set changes a property of noVNC's RFB, now and for later tries.
	set(name, value) {
		this.options[name] = value;
		if (this.rfb) {
			this.rfb[name] = value;
		}
	}

	connected() {
		return this.state === "connected";
	}

	// connect starts a try at once.
	connect() {
		this.leave();
		this.retryAt = 0;
		this.change(this.last ? "reconnecting" : "connecting", "");

		const url = new URL(this.address.socket);
		for (const [name, value] of Object.entries(this.parameters)) {
			if (value) {
				url.searchParams.set(name, value);
			}
		}
		const socket = new WebSocket(url);
		const broken = { code: 0, reason: "", security: "" };
		// noVNC puts its own handlers in the on... properties.
		socket.addEventListener("open", () => performance.mark("ironglass:ws-open"), { once: true });
		socket.addEventListener("close", (event) => Object.assign(broken, { code: event.code, reason: event.reason }), { once: true });

		const rfb = new Screen(this.target, socket, { shared: true });
		this.rfb = rfb;
		Object.assign(rfb, { scaleViewport: true, background: "transparent" }, this.options);
		this.dispatchEvent(new CustomEvent("rfb", { detail: rfb }));
		const element = this.target.lastElementChild; // what noVNC just put there
		element.classList.toggle("unseen", Boolean(this.last));
		const timeout = setTimeout(() => socket.close(), patience);

		rfb.addEventListener("connect", () => {
			clearTimeout(timeout);
			this.wait = firstWait;
			this.change("connected", "");
		});
		const first = () => {
			rfb.removeEventListener("frame", first);
			// The picture from before the break stays until there is a new one.
			this.last?.remove();
			this.last = null;
			element.classList.remove("unseen");
			performance.mark("ironglass:first-frame");
			this.dispatchEvent(new CustomEvent("frame"));
		};
		rfb.addEventListener("frame", first);
		rfb.addEventListener("desktopname", (event) => {
			this.dispatchEvent(new CustomEvent("name", { detail: event.detail.name }));
		});
		rfb.addEventListener("securityfailure", (event) => {
			broken.security = event.detail.reason || "The server refused the connection.";
		});
		rfb.addEventListener("credentialsrequired", () => {
			broken.security = "The console's server asks for a password, which this page does not send.";
			rfb.disconnect();
		});
		rfb.addEventListener("disconnect", () => {
			clearTimeout(timeout);
			if (this.rfb !== rfb) {
				return;
			}
			this.rfb = null;
			this.keep(element);
			this.broke(broken);
		});
	}

	// leave ends the connection and what was planned, without a change of
	// state: a new one follows, or nobody looks.
	leave() {
		clearTimeout(this.timer);
		const rfb = this.rfb;
		this.rfb = null;
		rfb?.disconnect();
	}

	// keep puts the picture of a broken connection back, for noVNC has just
	// taken it away; greyed, it is better than nothing.
	keep(element) {
		const canvas = element.querySelector("canvas");
		if (element.classList.contains("unseen") || !canvas?.width) {
			element.remove();
			return;
		}
		this.last?.remove();
		this.last = element;
		element.classList.add("last");
		this.target.append(element);
	}

	// broke finds out why, and plans a new try where that makes sense.
	async broke({ code, reason, security }) {
		if (security) {
			this.later(security);
			return;
		}
		if (ended.has(code)) {
			let text;
			[this.title, this.offer, text] = ended.get(code);
			this.change("ended", reason || text);
			return;
		}
		if (final.has(code)) {
			this.refuse(code === 4001 ? "The console was stopped" : "The console was closed", reason || "The service closed it.");
			return;
		}
		this.change("reconnecting", "Asking the service…");
		let status, detail;
		try {
			({ status, detail } = await this.ask());
		} catch {
			detail = "The service does not answer.";
		}
		if (this.rfb) {
			return; // somebody did not want to wait for the answer
		}
		if (status === 401 || status === 403) {
			this.refuse("This link does not open the console", detail || "Its token is wrong or has expired.");
		} else if (status >= 500 || status === 409 || status === 429) {
			this.later(detail || "The service cannot show the console now.");
		} else {
			this.later(detail || reason || "The connection broke.");
		}
	}

	// ask finds out what the service has against the console. A browser does
	// not tell a page why its websocket was refused, but the same address may
	// say so over HTTP, and this page's own address says what is wrong with
	// its token. It throws where no answer comes.
	async ask() {
		const get = (url) => fetch(url, { cache: "no-store", redirect: "error", signal: AbortSignal.timeout(8000) });
		let answer = await get(this.address.probe);
		if (answer.status >= 400 && answer.status !== 400 && answer.status !== 426) {
			return { status: answer.status, detail: (await problemOf(answer)).detail };
		}
		answer = await get(this.address.page);
		if (answer.ok) {
			return { status: answer.status, detail: "" };
		}
		const page = new DOMParser().parseFromString(await answer.text(), "text/html");
		return { status: answer.status, detail: page.getElementById("detail")?.textContent || "" };
	}

	// later plans a new try, each after a longer wait than the one before. The
	// waits differ between pages, so that not all come back at once.
	later(reason) {
		const wait = this.wait * (0.75 + Math.random() / 2);
		this.wait = Math.min(this.wait * 2, longestWait);
		this.retryAt = Date.now() + wait;
		this.timer = setTimeout(() => this.connect(), wait);
		this.change("reconnecting", reason);
	}

	refuse(title, reason) {
		this.title = title;
		this.change("refused", reason);
	}

	change(state, reason) {
		this.state = state;
		this.reason = reason;
		this.dispatchEvent(new CustomEvent("state"));
	}

	// focus lets what is typed go to the console.
	focus() {
		this.rfb?.focus({ preventScroll: true });
	}
}

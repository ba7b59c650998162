// What the service says about this page's console besides its picture, and
// what the page may ask of it. All of it needs a token of this service and a
// service that is there: behind another proxy, where only RFB comes through,
// snapshot stays null and the page does without.

import { claims, withToken } from "./address.js";
import * as api from "./api.js";
import { Feed } from "./feed.js";
import { setting, tab } from "./setting.js";

const hiddenInterval = 30000; // ms between two looks while nobody sees the page
const renewRetry = 15000; // ms before a new token is asked for again

// Service fires "snapshot" whenever snapshot changed, and "token" with the
// page's new address when there is a new token.
export class Service extends EventTarget {
	constructor(token) {
		super();
		this.snapshot = null; // GET /v1/nodes/{id}/console
		this.skew = 0; // ms that the service's clock is ahead of ours
		this.connected = false;
		this.timers = {};
		this.take(token);
		this.secret = this.claims ? secretOf(this.claims.node) : "";
		this.feed = new Feed({
			open: (signal) => this.request("console/events", { signal, headers: { Accept: "text/event-stream" } }),
			opened: (response) => this.setClock(response),
			message: (kind, data) => kind === "console" && this.show(data),
			broke: (err) => this.broke(err),
		});
		document.addEventListener("visibilitychange", () => this.follow());
	}

	// take goes on with a token.
	take(token) {
		this.token = token;
		this.claims = claims(token);
	}

	// name is who sits at this page; the service shows it to the others.
	get name() {
		return setting.get("name") || "";
	}

	set name(name) {
		setting.set("name", name);
	}

	// now is the service's time in ms since 1970.
	now() {
		return Date.now() + this.skew;
	}

	setClock(response) {
		const theirs = Date.parse(response.headers.get("Date") || "");
		// The header has whole seconds; less than that is no difference.
		if (theirs && Math.abs(theirs - Date.now()) > 1500) {
			this.skew = theirs - Date.now();
		}
	}

	// request is one of the API's calls about this node, for this page's seat.
	request(below, options = {}) {
		return api.request(api.nodePath(this.claims.node, below), {
			...options, token: this.token,
			headers: { ...options.headers, "Ironglass-Session": this.secret },
		});
	}

	// change is a call that is answered with the new snapshot.
	async change(below, body) {
		this.show(await (await this.request(below, { method: "POST", body })).json());
	}

	seat(action, session) {
		return this.change("console/seat", session ? { action, session } : { action });
	}

	extend() {
		return this.change("console/lease", { action: "extend" });
	}

	// me is this page's session among snapshot's, null before it has one.
	get me() {
		const { you, seats } = this.snapshot || {};
		return you && seats?.sessions?.find((s) => s.id === you) || null;
	}

	show(snapshot) {
		this.snapshot = snapshot;
		this.dispatchEvent(new CustomEvent("snapshot"));
	}

	// setConnected is told whether the console's picture comes: without it
	// there is nothing to follow.
	setConnected(yes) {
		const was = this.connected;
		this.connected = yes;
		if (yes && !was) {
			this.planRenewal();
		}
		this.follow();
	}

	// follow holds the stream open while the console is seen. A browser has few
	// connections to one server, so a page that nobody sees gives its own back
	// and looks now and then.
	follow() {
		clearTimeout(this.timers.look);
		if (!this.connected || !this.claims) {
			this.feed.stop();
		} else if (!document.hidden) {
			this.feed.start();
		} else {
			this.feed.stop();
			this.timers.look = setTimeout(() => this.look(), hiddenInterval);
		}
	}

	async look() {
		try {
			const response = await this.request("console");
			this.setClock(response);
			this.show(await response.json());
		} catch {
			// The next look tells.
		}
		this.follow();
	}

	// broke decides whether to ask for the stream again. Where something else
	// than the service answers, there is none.
	broke(err) {
		const absent = err instanceof api.Refused ? err.status < 500 && err.status !== 429 : err?.name === "NotAStream";
		if (absent && this.snapshot) {
			this.show(null);
		}
		return !absent;
	}

	// planRenewal asks for a new token at two thirds of this one's lifetime, so
	// that a connection that breaks can be made again however long it lasted.
	planRenewal(wait) {
		clearTimeout(this.timers.renewal);
		const from = Date.parse(this.claims?.iat), to = Date.parse(this.claims?.exp);
		if (!from || !to) {
			return;
		}
		wait ??= from + (to - from) * 2 / 3 - this.now();
		// A timer's longest time is 2^31 ms.
		this.timers.renewal = setTimeout(() => this.renew(), Math.min(Math.max(wait, 0), 0x7fffffff));
	}

	async renew() {
		if (!this.connected) {
			return; // planned again once it is
		}
		try {
			const { token } = await (await this.request("console/tokens/renew", { method: "POST", body: {} })).json();
			if (!claims(token)) {
				return;
			}
			this.take(token);
			this.dispatchEvent(new CustomEvent("token", { detail: withToken(location.href, token) }));
			this.planRenewal();
		} catch (err) {
			if (!(err instanceof api.Refused) || err.status >= 500 || err.status === 429) {
				this.planRenewal(renewRetry);
			}
		}
	}
}

// secretOf is what proves to the service that this page is the session it was:
// after a break, and after a reload. It never leaves this tab.
function secretOf(node) {
	const known = tab.get(`session.${node}`);
	if (known) {
		return known;
	}
	const bytes = crypto.getRandomValues(new Uint8Array(16));
	const secret = btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
	tab.set(`session.${node}`, secret);
	return secret;
}

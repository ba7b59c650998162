// The fleet page: what nodes there are, how their consoles are, and the way
// into one.
//
// For programs that watch or test the page: <html data-state> is ready or
// trouble, <html data-feed> is live while the service tells of changes by
// itself, else polling.

import * as api from "./api.js";
import { Card } from "./card.js";
import { $, make, press, say } from "./dom.js";
import { Feed } from "./feed.js";

const listInterval = 2000; // ms between two looks at the list, without a feed
const longestWait = 15000; // ms between two tries while the service is away
const feedRetry = 60000; // ms before a service without a feed is asked again
const many = 60; // cards

const root = document.documentElement;

// filters are the states that the page can be kept to.
const filters = [
	{ name: "all", label: "All", holds: () => true },
	{ name: "live", label: "Live", holds: (state) => state === "live" || state === "starting" },
	{ name: "trouble", label: "In trouble", holds: (state) => state === "lost" || state === "failed" },
	{ name: "cold", label: "Not running", holds: (state) => state === "cold" },
	{ name: "off", label: "Switched off", holds: (state) => state === "off" },
];

const cards = new Map(); // by the node's name
let chosen = filters[0];
let failures = 0; // in a row
let timer = 0;
let looking = null; // the AbortController of the look under way
let feedless = 0; // when the service was found to have no feed, 0 where it may

const feed = new Feed({
	open: (signal) => api.events(signal),
	opened() {
		root.dataset.feed = "live";
		failures = 0;
	},
	message(kind, data) {
		if (kind === "nodes") {
			show(data.nodes);
		} else if (kind === "node") {
			showOne(data);
		}
	},
	broke(err) {
		root.dataset.feed = "polling";
		if (err instanceof api.Refused && err.status === 401) {
			fail(err);
			return false;
		}
		if (err instanceof api.Refused && err.status < 500 && err.status !== 429 || err?.name === "NotAStream") {
			feedless = Date.now();
			look();
			return false;
		}
		if (err) {
			fail(err);
		}
		return true;
	},
});

// follow keeps the list in line while somebody looks: by the feed, or where
// there is none by looking again and again.
function follow() {
	if (document.hidden || $("sign-in").open) {
		feed.stop();
		clearTimeout(timer);
	} else if (!feedless || Date.now() - feedless > feedRetry) {
		feedless = 0;
		clearTimeout(timer);
		feed.start();
	} else {
		look();
	}
}

// look fetches the list once, shows it, and plans the next look.
async function look() {
	clearTimeout(timer);
	if (looking) {
		return;
	}
	looking = new AbortController();
	const patience = setTimeout(() => looking.abort(), 10000);
	try {
		show(await api.nodes(looking.signal));
		failures = 0;
	} catch (err) {
		failures++;
		fail(err);
	} finally {
		clearTimeout(patience);
		looking = null;
	}
	timer = setTimeout(follow, Math.min(listInterval * 2 ** Math.max(0, failures - 1), longestWait));
}

// show brings the cards in line with the list.
function show(nodes) {
	well();
	const gone = new Set(cards.keys());
	let before = null;
	for (const node of nodes) {
		gone.delete(node.name);
		const card = cardOf(node);
		const place = before ? before.nextElementSibling : $("nodes").firstElementChild;
		if (card.element !== place) {
			$("nodes").insertBefore(card.element, place);
		}
		before = card.element;
	}
	for (const name of gone) {
		cards.get(name).remove();
		cards.delete(name);
	}
	// Where there are many, those out of sight are not laid out.
	$("nodes").classList.toggle("many", cards.size > many);
	filter();
}

// showOne brings one card in line with its node. Several that change at once
// are counted once.
function showOne(node) {
	well();
	const card = cardOf(node);
	if (!card.element.parentElement) {
		$("nodes").append(card.element);
	}
	cancelAnimationFrame(counting);
	counting = requestAnimationFrame(filter);
}

let counting = 0;

function cardOf(node) {
	let card = cards.get(node.name);
	if (!card) {
		card = new Card(node.name, $("node"));
		cards.set(node.name, card);
	}
	card.update(node);
	return card;
}

// well takes back what fail has said.
function well() {
	root.dataset.state = "ready";
	$("waiting").hidden = true;
	$("trouble").hidden = true;
	document.body.classList.remove("stale");
	$("sign-out").hidden = !api.credential.get();
}

// filter hides the cards that the search and the chosen states do not ask for.
function filter() {
	const wanted = $("search").value.trim().toLowerCase().split(/\s+/);
	const counts = new Map(filters.map((f) => [f.name, 0]));
	let shown = 0;
	for (const card of cards.values()) {
		const found = card.matches(wanted);
		for (const f of filters) {
			if (found && f.holds(card.state)) {
				counts.set(f.name, counts.get(f.name) + 1);
			}
		}
		const hidden = !found || !chosen.holds(card.state);
		if (card.element.hidden !== hidden) {
			card.element.hidden = hidden;
		}
		shown += hidden ? 0 : 1;
	}
	for (const f of filters) {
		say(f.count, f === filters[0] ? "" : String(counts.get(f.name)));
		f.button.hidden = f !== filters[0] && f !== chosen && counts.get(f.name) === 0;
	}
	$("filters").hidden = cards.size === 0;
	$("empty").hidden = cards.size > 0;
	$("nothing").hidden = shown > 0 || cards.size === 0;
	const words = $("search").value.trim();
	say($("nothing-why"), words ? `Nothing ${chosen === filters[0] ? "" : `that is “${chosen.label}” `}has “${words}” in its name, UUID or state.`
		: `No node is “${chosen.label}”.`);
	const nodes = `${cards.size} ${cards.size === 1 ? "node" : "nodes"}`;
	say($("summary"), cards.size === 0 ? "" : shown < cards.size ? `${shown} of ${nodes}` : nodes);
}

// fail says what is wrong; what was known stays, greyed.
function fail(err) {
	root.dataset.state = "trouble";
	if (err instanceof api.Refused && err.status === 401) {
		askForToken();
		return;
	}
	$("waiting").hidden = true;
	document.body.classList.add("stale");
	$("trouble").hidden = false;
	say($("trouble"), err instanceof api.Refused
		? `${err.message} Trying again.`
		: "The service does not answer. It may be restarting; this page tries again by itself.");
}

function askForToken() {
	$("waiting").hidden = true;
	$("sign-in-wrong").hidden = !api.credential.get();
	api.credential.set("");
	$("sign-out").hidden = true;
	if (!$("sign-in").open) {
		$("sign-in").showModal();
	}
	$("sign-in-token").value = "";
	$("sign-in-token").focus();
}

$("sign-in-form").addEventListener("submit", (event) => {
	event.preventDefault();
	api.credential.set($("sign-in-token").value.trim());
	$("sign-in").close();
	follow();
});

// Without the token there is nothing behind the dialog.
$("sign-in").addEventListener("cancel", (event) => event.preventDefault());

$("sign-out").addEventListener("click", () => {
	api.credential.set("");
	for (const [name, card] of cards) {
		card.remove();
		cards.delete(name);
	}
	feed.stop();
	follow();
});

for (const f of filters) {
	f.count = make("span", { className: "count" });
	f.button = make("button", { type: "button" }, f.label, f.count);
	f.button.dataset.filter = f.name;
	press(f.button, f === chosen);
	f.button.addEventListener("click", () => choose(f));
	$("filters").append(f.button);
}

function choose(f) {
	chosen = f;
	for (const other of filters) {
		press(other.button, other === f);
	}
	filter();
}

$("search").addEventListener("input", filter);

$("clear").addEventListener("click", () => {
	$("search").value = "";
	choose(filters[0]);
	$("search").focus();
});

// Where nobody tells of the change, look for it.
$("nodes").addEventListener("switched", () => {
	if (root.dataset.feed !== "live") {
		look();
	}
});

// The arrow keys walk over the screens as they lie, a slash goes to the search.
$("nodes").addEventListener("keydown", (event) => {
	const open = event.target.closest(".open");
	if (!open || event.ctrlKey || event.altKey || event.metaKey) {
		return;
	}
	const all = [...$("nodes").querySelectorAll(".node:not([hidden]) .open")];
	const columns = getComputedStyle($("nodes")).gridTemplateColumns.split(" ").length;
	const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -all.length, End: all.length }[event.key];
	if (!step) {
		return;
	}
	event.preventDefault();
	let to = Math.min(Math.max(all.indexOf(open) + step, 0), all.length - 1);
	while (all[to]?.disabled) {
		to += Math.abs(step) < all.length ? Math.sign(step) : -Math.sign(step);
	}
	all[to]?.focus();
});

document.addEventListener("keydown", (event) => {
	if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey &&
		document.activeElement !== $("search") && !document.querySelector("dialog[open]")) {
		event.preventDefault();
		$("search").focus();
	}
});

document.addEventListener("visibilitychange", follow);

// Coming back with the browser's Back button shows the page as it was left.
window.addEventListener("pagehide", () => feed.stop());
window.addEventListener("pageshow", (event) => {
	if (event.persisted) {
		follow();
	}
});

// A card that was never laid out takes the room of one that was, so that
// nothing moves when it is.
new ResizeObserver(() => {
	const card = $("nodes").querySelector(".node:not([hidden])");
	if (card) {
		$("nodes").style.setProperty("--card", `${card.offsetHeight}px`);
	}
}).observe($("nodes"));

$("waiting").hidden = false;
follow();

// The fleet page: what nodes there are, how their consoles are, and the way
// into one.

import * as api from "./api.js";
import { Card } from "./card.js";

const listInterval = 2000; // ms between two looks at the list
const longestWait = 15000; // ms between two tries while the service is away

const $ = (id) => document.getElementById(id);

const cards = new Map(); // by the node's name
let failures = 0; // in a row
let timer = 0;
let looking = null; // the AbortController of the look under way

// look fetches the list once, shows it, and plans the next look.
async function look() {
	clearTimeout(timer);
	if (looking || document.hidden || $("sign-in").open) {
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
	plan();
}

function plan() {
	clearTimeout(timer);
	if (!document.hidden && !$("sign-in").open) {
		timer = setTimeout(look, Math.min(listInterval * 2 ** Math.max(0, failures - 1), longestWait));
	}
}

// show brings the cards in line with the list.
function show(nodes) {
	document.documentElement.dataset.state = "ready";
	$("waiting").hidden = true;
	$("trouble").hidden = true;
	document.body.classList.remove("stale");
	$("sign-out").hidden = !api.credential.get();

	const gone = new Set(cards.keys());
	let before = null;
	for (const node of nodes) {
		gone.delete(node.name);
		let card = cards.get(node.name);
		if (!card) {
			card = new Card(node.name, $("node"));
			cards.set(node.name, card);
		}
		card.update(node);
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
	filter();
}

// filter hides the cards that the search does not ask for.
function filter() {
	const wanted = $("search").value.trim();
	let shown = 0;
	const live = [...cards.values()].filter((card) => card.node.state === "live").length;
	for (const card of cards.values()) {
		card.element.hidden = !card.matches(wanted);
		shown += card.element.hidden ? 0 : 1;
	}
	$("empty").hidden = cards.size > 0;
	$("nothing").hidden = shown > 0 || cards.size === 0;
	$("wanted").textContent = wanted;
	const nodes = `${cards.size} ${cards.size === 1 ? "node" : "nodes"}`;
	const summary = cards.size === 0 ? "" : wanted ? `${shown} of ${nodes}` : `${nodes} · ${live} live`;
	if ($("summary").textContent !== summary) {
		$("summary").textContent = summary;
	}
}

// fail says what is wrong; what was known stays, greyed.
function fail(err) {
	document.documentElement.dataset.state = "trouble";
	if (err instanceof api.Refused && err.status === 401) {
		askForToken();
		return;
	}
	$("waiting").hidden = true;
	document.body.classList.add("stale");
	$("trouble").hidden = false;
	$("trouble").textContent = err instanceof api.Refused
		? `${err.message} Trying again.`
		: "The service does not answer. It may be restarting; this page tries again by itself.";
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
	look();
});

// Without the token there is nothing behind the dialog.
$("sign-in").addEventListener("cancel", (event) => event.preventDefault());

$("sign-out").addEventListener("click", () => {
	api.credential.set("");
	for (const [name, card] of cards) {
		card.remove();
		cards.delete(name);
	}
	look();
});

$("search").addEventListener("input", filter);

$("clear").addEventListener("click", () => {
	$("search").value = "";
	filter();
	$("search").focus();
});

// A slash goes to the search, as on many such pages.
document.addEventListener("keydown", (event) => {
	if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey &&
		document.activeElement !== $("search") && !$("sign-in").open) {
		event.preventDefault();
		$("search").focus();
	}
});

document.addEventListener("visibilitychange", () => {
	if (!document.hidden) {
		look();
	}
});

// Coming back with the browser's Back button shows the page as it was left.
window.addEventListener("pageshow", (event) => {
	if (event.persisted) {
		look();
	}
});

$("waiting").hidden = false;
look();

// The player: a recording's picture, drawn by noVNC, and what turns it. The
// service plays; this page tells it where to go and shows where it is.

import { Connection } from "./connection.js";
import { problemOf } from "./api.js";
import { clock, moment, span, spoken } from "./times.js";

const $ = (id) => document.getElementById(id);
const root = document.documentElement;

const stepShort = 5; // seconds
const stepLong = 60;

const framed = window.parent !== window;

// Replay is the service's state of the replay, and the way to change it.
class Replay extends EventTarget {
	constructor(token) {
		super();
		this.token = token;
		this.state = null; // as the service said it last
		this.said = 0; // when that was, in ms of performance.now
		this.asking = false;
		this.wanted = null; // the order that comes next
	}

	// position is where it is now, in seconds.
	position() {
		const s = this.state;
		if (!s) {
			return 0;
		}
		const gone = s.playing && !s.finished ? (performance.now() - this.said) / 1000 * s.speed : 0;
		return Math.min(s.position + gone, s.seconds);
	}

	// order asks for a change. Orders that come while one is under way are put
	// together: what was wanted in between does not matter any more.
	order(change) {
		const before = { ...this.wanted };
		if (change.position !== undefined) {
			delete before.step;
		}
		this.wanted = { ...before, ...change, ...(change.step && { step: change.step + (before.step || 0) }) };
		this.expect(change);
		return this.ask();
	}

	// expect shows at once what the service is about to do.
	expect(change) {
		const s = this.state;
		if (!s) {
			return;
		}
		s.position = this.position();
		this.said = performance.now();
		if (change.position !== undefined) {
			s.position = Math.min(Math.max(0, change.position), s.seconds);
			s.finished = false;
		} else if (change.playing && s.finished) {
			s.position = 0;
			s.finished = false;
		}
		s.speed = change.speed ?? s.speed;
		s.playing = change.step ? false : change.playing ?? s.playing;
		this.dispatchEvent(new CustomEvent("state"));
	}

	// ask carries out what is wanted, and otherwise asks for the state.
	async ask() {
		if (this.asking) {
			return;
		}
		this.asking = true;
		try {
			do {
				const order = this.wanted;
				this.wanted = null;
				const answer = await fetch(new URL("v1/replay", document.baseURI), {
					method: order ? "POST" : "GET", cache: "no-store", redirect: "error", signal: AbortSignal.timeout(10000),
					headers: { Authorization: `Bearer ${this.token}`, ...(order && { "Content-Type": "application/json" }) },
					...(order && { body: JSON.stringify(order) }),
				});
				if (!answer.ok) {
					const { detail } = await problemOf(answer);
					this.dispatchEvent(new CustomEvent("refused", { detail: { status: answer.status, text: detail || "" } }));
					return;
				}
				const state = await answer.json();
				if (!this.wanted) {
					this.state = state;
					this.said = performance.now();
					this.dispatchEvent(new CustomEvent("state"));
				}
			} while (this.wanted);
		} catch {
			// No answer came; the connection of the picture says so.
		} finally {
			this.asking = false;
		}
	}
}

// play plays the replay of a token.
export function play(token) {
	$("player").hidden = false;
	document.body.classList.add("playing");
	const query = new URLSearchParams({ token });
	const socket = new URL(`replay?${query}`, document.baseURI);
	const probe = socket.href;
	socket.protocol = location.protocol === "https:" ? "wss:" : "ws:";
	const page = new URL(location.href);
	page.hash = "";
	$("download").href = new URL(`replay/download?${query}`, document.baseURI);
	$("back").hidden = framed;

	const replay = new Replay(token);
	const connection = new Connection($("screen"), { socket: socket.href, probe, page: page.href });
	window.ironglass = {
		get rfb() { return connection.rfb; },
		get state() { return connection.state; },
		get replay() { return replay.state && { ...replay.state, position: replay.position() }; },
	};
	connection.set("viewOnly", true);
	connection.set("focusOnClick", false);
	connection.addEventListener("state", () => showConnection(connection, replay));
	connection.addEventListener("frame", () => {
		root.dataset.frame = "first";
		$("overlay").hidden = true;
	});
	replay.addEventListener("state", () => showReplay(replay));
	replay.addEventListener("refused", (event) => {
		if (event.detail.status === 403) {
			connection.leave();
			ended(event.detail.text);
		}
	});
	buttons(replay);
	timeLine(replay);
	keys(replay);
	ticks(replay);
	window.addEventListener("pagehide", () => connection.leave());
	window.addEventListener("pageshow", (event) => {
		if (event.persisted && connection.state !== "refused") {
			connection.connect();
		}
	});
	connection.connect();
}

function showConnection(connection, replay) {
	root.dataset.state = connection.state;
	switch (connection.state) {
	case "connected":
		replay.ask();
		if (root.dataset.frame) {
			$("overlay").hidden = true;
		}
		break;
	case "refused":
		ended(connection.reason);
		break;
	case "reconnecting":
		overlay("The connection is gone", `${connection.reason} The page tries again by itself.`, false);
		break;
	default:
		overlay("Opening the recording…", "", false);
	}
}

function ended(reason) {
	root.dataset.state = "refused";
	for (const control of document.querySelectorAll(".transport button, .transport input, .transport select")) {
		control.disabled = true;
	}
	overlay("This replay has ended", reason, !framed);
}

function overlay(title, text, back) {
	$("overlay-title").textContent = title;
	$("overlay-text").textContent = text;
	$("overlay-back").hidden = !back;
	$("overlay").hidden = false;
}

// showReplay shows what the service said.
function showReplay(replay) {
	const s = replay.state;
	const began = new Date(s.began);
	set($("node"), s.node);
	set($("when"), moment(began));
	document.title = `${s.node}, ${moment(began)} · ironglass`;
	const list = new URL("replay.html", document.baseURI);
	list.searchParams.set("node", s.node);
	$("back").href = list;
	set($("length"), span(s.seconds));
	for (const id of ["play", "previous", "next", "position", "speed"]) {
		$(id).disabled = root.dataset.state === "refused";
	}
	const playing = s.playing && !s.finished;
	root.classList.toggle("turning", playing);
	$("play").setAttribute("aria-label", playing ? "Pause" : s.finished ? "Play again" : "Play");
	const speed = String(s.speed);
	if ($("speed").value !== speed && [...$("speed").options].some((o) => o.value === speed)) {
		$("speed").value = speed;
	}
	showPosition(replay);
}

function set(element, text) {
	if (element.textContent !== text) {
		element.textContent = text;
	}
}

let dragging = false;

function showPosition(replay) {
	const s = replay.state;
	if (!s) {
		return;
	}
	const line = $("position");
	const at = dragging ? Number(line.value) : replay.position();
	if (Number(line.max) !== s.seconds) {
		line.max = s.seconds;
	}
	if (!dragging) {
		line.value = at;
	}
	line.style.setProperty("--done", `${s.seconds > 0 ? at / s.seconds * 100 : 0}%`);
	set($("time"), span(at));
	set($("clock"), clock(new Date(Date.parse(s.began) + at * 1000)));
	const text = `${spoken(at)} of ${spoken(s.seconds)}`;
	if (line.getAttribute("aria-valuetext") !== text) {
		line.setAttribute("aria-valuetext", text);
	}
}

// ticks moves the time line on, and asks the service now and then where it is.
function ticks(replay) {
	setInterval(() => {
		if (!document.hidden && replay.state?.playing && !replay.state.finished) {
			showPosition(replay);
		}
	}, 100);
	setInterval(() => {
		const s = replay.state;
		const due = s?.playing && !s.finished || replay.position() >= (s?.seconds ?? 0) && !s?.finished;
		if (!document.hidden && root.dataset.state === "connected" && due) {
			replay.ask();
		}
	}, 1000);
}

function toggle(replay) {
	const s = replay.state;
	if (s) {
		replay.order({ playing: !s.playing || s.finished });
	}
}

function buttons(replay) {
	$("play").addEventListener("click", () => toggle(replay));
	$("screen").addEventListener("click", () => toggle(replay));
	$("previous").addEventListener("click", () => replay.order({ step: -1 }));
	$("next").addEventListener("click", () => replay.order({ step: 1 }));
	$("speed").addEventListener("change", () => replay.order({ speed: Number($("speed").value) }));
	const full = $("full-screen");
	full.hidden = !document.fullscreenEnabled;
	full.addEventListener("click", fullScreen);
	document.addEventListener("fullscreenchange", () => full.setAttribute("aria-pressed", String(Boolean(document.fullscreenElement))));
}

async function fullScreen() {
	try {
		if (document.fullscreenElement) {
			await document.exitFullscreen();
		} else {
			await root.requestFullscreen({ navigationUI: "hide" });
		}
	} catch {
		// It was not allowed; nothing changes.
	}
}

// timeLine lets the position be dragged, and tells the time under a pointer.
function timeLine(replay) {
	const line = $("position");
	line.addEventListener("input", () => {
		dragging = true;
		replay.order({ position: Number(line.value) });
		showPosition(replay);
	});
	line.addEventListener("change", () => {
		dragging = false;
		replay.order({ position: Number(line.value) });
	});
	const hover = $("hover");
	line.addEventListener("pointermove", (event) => {
		if (!replay.state) {
			return;
		}
		const box = line.getBoundingClientRect();
		const at = Math.min(Math.max(0, (event.clientX - box.left) / box.width), 1);
		hover.value = span(at * replay.state.seconds);
		hover.style.setProperty("--at", `${at * 100}%`);
		hover.hidden = false;
	});
	for (const name of ["pointerleave", "pointercancel"]) {
		line.addEventListener(name, () => { hover.hidden = true; });
	}
}

// keys are the page's own, wherever the focus is, but for the list of speeds
// and for buttons, which take Space and Enter.
function keys(replay) {
	const speeds = [...$("speed").options].map((o) => Number(o.value));
	const faster = (by) => {
		const now = speeds.indexOf(replay.state?.speed ?? 1);
		const speed = speeds[Math.min(Math.max(0, now + by), speeds.length - 1)];
		$("speed").value = String(speed);
		replay.order({ speed });
	};
	const go = (by) => replay.order({ position: Math.min(Math.max(0, replay.position() + by), replay.state?.seconds ?? 0) });
	const actions = {
		" ": () => toggle(replay),
		k: () => toggle(replay),
		f: fullScreen,
		",": () => replay.order({ step: -1 }),
		".": () => replay.order({ step: 1 }),
		"-": () => faster(-1),
		"+": () => faster(1),
		"=": () => faster(1),
		Home: () => replay.order({ position: 0 }),
		End: () => replay.order({ position: replay.state?.seconds ?? 0 }),
	};
	document.addEventListener("keydown", (event) => {
		const on = event.target.closest?.("button, a, select");
		if (event.ctrlKey || event.altKey || event.metaKey || !replay.state || root.dataset.state === "refused" ||
			on && (event.key === " " || event.key === "Enter") || on?.matches("select")) {
			return;
		}
		const far = event.shiftKey ? stepLong : stepShort;
		const action = { ...actions, ArrowLeft: () => go(-far), ArrowRight: () => go(far) }[event.key];
		if (action) {
			event.preventDefault();
			action();
		}
	});
}

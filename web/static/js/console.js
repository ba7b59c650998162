// The console page: one console, the bar above it, and the sheet beside it.
//
// For programs that watch or test the page: <html data-state> is the state of
// the connection (connecting, connected, reconnecting, ended, refused),
// <html data-node-state> the node's as the service says it, where it does,
// <html data-open> the panel that is open, <html data-frame="first"> appears
// with the first picture, the performance marks "ironglass:ws-open" and
// "ironglass:first-frame" say when, and window.ironglass has the state,
// noVNC's RFB object, the service's snapshot and what was measured.

import { parse } from "./address.js";
import { Connection } from "./connection.js";
import { Service } from "./service.js";
import { Panels } from "./panels.js";
import { Held } from "./held.js";
import { Meter } from "./meter.js";
import { TouchKeyboard } from "./touch.js";
import { $, press, say, time } from "./dom.js";
import { keysPanel } from "./keys.js";
import { clipboardPanel } from "./clipboard.js";
import { typingPanel } from "./typing.js";
import { powerPanel } from "./power.js";
import { peoplePanel } from "./people.js";
import { leaseCountdown } from "./lease.js";
import { display } from "./display.js";
import { act } from "./act.js";

const root = document.documentElement;

const framed = window.parent !== window;
const touch = matchMedia("(pointer: coarse)");

const words = {
	connecting: "Connecting",
	connected: "Connected",
	reconnecting: "Connecting again",
	ended: "Closed",
	refused: "Not connected",
};

// nodeWords are the states of a node that is not as it should be, while the
// page is connected to the service.
const nodeWords = { starting: "Starting", lost: "Lost", failed: "Failed" };

function start() {
	let address;
	try {
		address = parse(location.href);
	} catch (err) {
		root.dataset.state = "refused";
		overlay("This address is not right", err.message, "");
		return;
	}
	const connection = new Connection($("screen"), address);
	const service = new Service(address.token);
	const panels = new Panels(connection);
	const held = new Held(connection);
	const meter = new Meter(connection);
	connection.parameters = service.claims ? { session: service.secret, name: service.name } : {};
	window.ironglass = {
		get rfb() { return connection.rfb; },
		get state() { return connection.state; },
		get snapshot() { return service.snapshot; },
		get frames() { return meter.frames; },
		get latency() { return meter.latency; },
	};
	name(address.title || service.claims?.node);
	connection.set("viewOnly", address.view);
	$("back").hidden = framed;

	connection.addEventListener("state", () => {
		service.setConnected(connection.connected());
		showState(connection, service);
		facts(connection, service, meter);
	});
	connection.addEventListener("frame", () => {
		root.dataset.frame = "first";
		if (connection.connected()) {
			$("overlay").hidden = true;
		}
	});
	// A node that is a VNC server itself may call its screen anything: the node
	// goes by its own name where the link says it.
	connection.addEventListener("name", (event) => { if (!address.title && !service.claims?.node) name(event.detail); });
	service.addEventListener("snapshot", () => {
		seated(connection, service, panels, address);
		showState(connection, service);
		facts(connection, service, meter);
	});
	// The page's own address has the newest token too, for when it is loaded
	// anew.
	service.addEventListener("token", (event) => {
		history.replaceState(history.state, "", event.detail);
		connection.address = parse(location.href);
	});
	meter.addEventListener("measure", () => facts(connection, service, meter));

	act("overlay-retry", connection, () => connection.connect());
	bar(connection, panels);
	display(connection, panels);
	keyboardFocus(connection, panels);
	const mayOperate = () => !address.view && service.snapshot?.mode !== "view" && (!service.me || service.me.operating);
	keysPanel(connection, held);
	clipboardPanel(connection);
	typingPanel(service, mayOperate);
	powerPanel(connection, service, panels, mayOperate);
	peoplePanel(connection, service, panels);
	leaseCountdown(service);
	touchKeyboard(connection, held);
	seated(connection, service, panels, address);

	// A browser may keep a page that was left, with its connection, for its
	// Back button: the console would have a viewer whom nobody sees.
	window.addEventListener("pagehide", () => {
		document.activeElement?.blur(); // what was clicked to leave, for one
		connection.leave();
		service.setConnected(false);
	});
	window.addEventListener("pageshow", (event) => {
		if (event.persisted && connection.state !== "refused" && connection.state !== "ended") {
			connection.connect();
		}
	});
	connection.connect();
}

function name(text) {
	if (text) {
		$("name").textContent = $("name").title = text;
		document.title = `${text} · ironglass`;
	}
}

// seated brings the page in line with what its reader may do: with the mode
// of the link, and with who operates where one does alone.
function seated(connection, service, panels, address) {
	const { snapshot, me } = service;
	const lookOnly = address.view || snapshot?.mode === "view" || service.claims?.mode === "view";
	const waiting = !lookOnly && Boolean(me) && !me.operating;
	const viewOnly = lookOnly || waiting;
	if (connection.options.viewOnly !== viewOnly) {
		connection.set("viewOnly", viewOnly);
	}
	root.classList.toggle("view", viewOnly);
	$("view-only").hidden = !viewOnly;
	const operator = waiting && snapshot.seats.sessions.find((s) => s.operating);
	say($("view-only"), lookOnly ? "View only" : operator?.name ? `${operator.name} operates` : "Looking on");
	panels.offer("keys", !viewOnly);
	panels.offer("clipboard", !viewOnly);
	panels.offer("type", !viewOnly && Boolean(snapshot?.layouts?.length));
	$("touch-keyboard").hidden = viewOnly || !touch.matches;
	$("fit-machine").hidden = viewOnly;
	const { recording } = snapshot || {};
	$("recording").hidden = !recording?.active;
	$("recording").title = recording?.mode === "ring" ? "The last minutes of this console are recorded. Keys are not."
		: "This console is recorded. Keys are not.";
}

let countdown = 0;

function showState(connection, service) {
	const { state, reason, retryAt } = connection;
	const node = service.snapshot?.state || "";
	const shown = state === "connected" && nodeWords[node] ? node : state;
	root.dataset.nodeState = node;
	$("sign").dataset.state = shown;
	say($("state"), state === "connected" && nodeWords[node] || words[state]);
	for (const button of document.querySelectorAll("[data-needs-console]")) {
		button.disabled = !connection.connected();
	}
	if (root.dataset.state === state && state === "connected" && root.dataset.frame) {
		return; // nothing of the connection has changed
	}
	root.dataset.state = state;
	clearInterval(countdown);
	switch (state) {
	case "connected":
		// Nobody is left with an empty page while the first picture comes.
		if (root.dataset.frame) {
			$("overlay").hidden = true;
		} else {
			overlay("Waiting for the picture…", "", "");
		}
		break;
	case "connecting":
		overlay("Connecting…", "", "");
		break;
	case "ended":
		overlay(connection.title, reason, connection.offer);
		break;
	case "refused":
		overlay(connection.title, reason, "");
		break;
	case "reconnecting": {
		const left = () => {
			const seconds = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
			$("overlay-count").textContent = retryAt ? (seconds ? `Next try in ${seconds} s` : "Trying…") : "";
		};
		overlay("The connection is gone", reason, retryAt > 0 ? "Connect now" : "");
		left();
		if (retryAt) {
			countdown = setInterval(left, 250);
		}
		break;
	}
	}
}

// overlay covers the picture with words; offer is what its button says.
function overlay(title, text, offer) {
	say($("overlay-title"), title);
	say($("overlay-text"), text);
	$("overlay-count").textContent = "";
	$("overlay-retry").hidden = !offer;
	say($("overlay-retry"), offer || $("overlay-retry").textContent);
	$("overlay-back").hidden = framed || root.dataset.state !== "refused" && root.dataset.state !== "ended";
	$("overlay-how").hidden = root.dataset.state !== "refused";
	$("overlay").hidden = false;
}

// facts writes what was measured, and what the service says, in words.
function facts(connection, service, meter) {
	const { lease, recording, token_expires_at: linkEnds } = service.snapshot || {};
	const size = connection.rfb?.getImageData && connection.connected() ? $("screen").querySelector("canvas") : null;
	const latency = meter.latency === null ? "" : `${meter.latency < 10 ? meter.latency.toFixed(1) : Math.round(meter.latency)} ms`;
	say($("meter"), connection.connected() ? [`${meter.frames} fps`, latency].filter(Boolean).join(" · ") : "");
	const rows = {
		"fact-size": size ? `${size.width} × ${size.height}` : "",
		"fact-frames": connection.connected() ? `${meter.frames} per second` : "",
		"fact-latency": latency,
		"fact-lease": lease?.idle_seconds > 0 ? `after ${Math.round(lease.idle_seconds / 60)} min without use` : "",
		"fact-ends": lease?.ends_at ? time(lease.ends_at) : "",
		"fact-link": linkEnds ? time(linkEnds) : "",
		"fact-recording": { ring: "the last minutes", full: "all of it" }[recording?.mode] || "",
	};
	for (const [id, text] of Object.entries(rows)) {
		const row = document.getElementById(id);
		say(row.querySelector("dd"), text);
		row.hidden = !text;
	}
}

function bar(connection, panels) {
	const fold = (folded) => {
		if (folded) {
			panels.close();
		}
		root.classList.toggle("folded", folded);
		$("unfold").hidden = !folded;
	};
	act("fold", connection, () => {
		fold(true);
		connection.focus();
	});
	$("unfold").addEventListener("click", () => {
		fold(false);
		$("fold").focus();
	});
	document.addEventListener("fullscreenchange", () => fold(Boolean(document.fullscreenElement)));

	// The console takes every key, the Tab key too. This one chord is the
	// page's, so that the bar can be reached without a mouse.
	window.addEventListener("keydown", (event) => {
		if (event.ctrlKey && event.altKey && event.shiftKey && event.code === "KeyB") {
			event.preventDefault();
			event.stopImmediatePropagation();
			fold(false);
			[...$("tools").querySelectorAll("button")].find((b) => b.offsetParent && !b.disabled)?.focus();
		}
	}, true);
}

// keyboardFocus brings what is typed to the console whenever nothing else on
// the page asks for it.
function keyboardFocus(connection, panels) {
	const idle = () => !document.activeElement || document.activeElement === document.body;
	const take = () => {
		if (idle() && connection.connected() && !$("ask").open) {
			connection.focus();
		}
	};
	connection.addEventListener("frame", take);
	window.addEventListener("focus", take);
	panels.addEventListener("close", take);
	$("screen").addEventListener("pointerenter", take);
	// A click beside a button takes the focus from the console no more than a
	// click on it does.
	for (const id of ["bar", "tools"]) {
		$(id).addEventListener("mousedown", (event) => {
			if (!event.target.closest("button, a")) {
				event.preventDefault();
			}
		});
	}
	// A key that is held while the focus leaves the canvas would never be let
	// go of. noVNC lets go of all keys when the window loses the focus, so it
	// is told so.
	$("screen").addEventListener("focusout", () => window.dispatchEvent(new Event("blur")));
}

function touchKeyboard(connection, held) {
	const button = $("touch-keyboard");
	// A tablet may be taken off its keys, or put on them.
	touch.addEventListener("change", () => { button.hidden = !touch.matches || root.classList.contains("view"); });
	const keyboard = new TouchKeyboard($("touch-field"), $("touch-keys"),
		(keysym, code, down) => connection.rfb?.sendKey(keysym, code, down), held);
	const set = (on) => {
		press(button, on);
		root.classList.toggle("touch-typing", on);
		if (on) {
			keyboard.show();
		} else {
			keyboard.hide();
		}
	};
	// The field keeps the focus until the click says what is wanted.
	button.addEventListener("pointerdown", (event) => event.preventDefault());
	button.addEventListener("click", () => set(button.getAttribute("aria-pressed") !== "true"));
	$("touch-done").addEventListener("click", () => {
		set(false);
		connection.focus();
	});
	// A tap on the picture gives it the focus, and the keyboard goes away.
	$("touch-field").addEventListener("blur", () => setTimeout(() => {
		if (document.activeElement !== $("touch-field")) {
			set(false);
		}
	}));
	// The on-screen keyboard covers a part of the page: keep to the rest.
	window.visualViewport?.addEventListener("resize", () => {
		root.style.setProperty("--seen", `${window.visualViewport.height}px`);
	});
}

start();

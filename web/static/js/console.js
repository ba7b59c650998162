// The console page: one console and the bar above it.
//
// For programs that watch or test the page: <html data-state> is the state of
// the connection (connecting, connected, reconnecting, refused),
// <html data-frame="first"> appears with the first picture, the performance
// marks "ironglass:ws-open" and "ironglass:first-frame" say when, and
// window.ironglass has the state and noVNC's RFB object.

import { parse } from "./address.js";
import { Connection } from "./connection.js";
import { TouchKeyboard } from "./touch.js";

const $ = (id) => document.getElementById(id);
const root = document.documentElement;

const framed = window.parent !== window;
const touch = matchMedia("(pointer: coarse)");

const words = {
	connecting: "Connecting",
	connected: "Connected",
	reconnecting: "Connecting again",
	refused: "Not connected",
};

// setting is a choice that is remembered where the browser lets us.
const setting = {
	get(name) {
		try {
			return localStorage.getItem(`ironglass.${name}`);
		} catch {
			return null;
		}
	},
	set(name, value) {
		try {
			localStorage.setItem(`ironglass.${name}`, value);
		} catch {
			// In a frame of another site there may be no storage.
		}
	},
};

function start() {
	let address;
	try {
		address = parse(location.href);
	} catch (err) {
		root.dataset.state = "refused";
		overlay("This address is not right", err.message, false);
		return;
	}
	const connection = new Connection($("screen"), address);
	window.ironglass = {
		get rfb() { return connection.rfb; },
		get state() { return connection.state; },
	};
	name(address.title);
	connection.set("viewOnly", address.view);
	root.classList.toggle("view", address.view);
	$("view-only").hidden = !address.view;
	$("back").hidden = framed;

	connection.addEventListener("state", () => showState(connection));
	connection.addEventListener("frame", () => {
		root.dataset.frame = "first";
		if (connection.connected()) {
			$("overlay").hidden = true;
		}
	});
	connection.addEventListener("name", (event) => { if (!address.title) name(event.detail); });

	bar(connection, address);
	scaling(connection);
	fullScreen(connection);
	keyboardFocus(connection);
	if (!address.view) {
		touchKeyboard(connection);
	}
	// A browser may keep a page that was left, with its connection, for its
	// Back button: the console would have a viewer whom nobody sees.
	window.addEventListener("pagehide", () => {
		document.activeElement?.blur(); // what was clicked to leave, for one
		connection.leave();
	});
	window.addEventListener("pageshow", (event) => {
		if (event.persisted && connection.state !== "refused") {
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

let countdown = 0;

function showState(connection) {
	const { state, reason, retryAt } = connection;
	root.dataset.state = state;
	$("sign").dataset.state = state;
	if ($("state").textContent !== words[state]) {
		$("state").textContent = words[state];
	}
	const usable = connection.connected();
	for (const button of document.querySelectorAll("[data-needs-console]")) {
		button.disabled = !usable;
	}
	clearInterval(countdown);
	switch (state) {
	case "connected":
		// Nobody is left with an empty page while the first picture comes.
		if (root.dataset.frame) {
			$("overlay").hidden = true;
		} else {
			overlay("Waiting for the picture…", "", false);
		}
		break;
	case "connecting":
		overlay("Connecting…", "", false);
		break;
	case "refused":
		overlay(connection.title, reason, false);
		break;
	case "reconnecting": {
		const left = () => {
			const seconds = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
			$("overlay-count").textContent = retryAt ? (seconds ? `Next try in ${seconds} s` : "Trying…") : "";
		};
		overlay("The connection is gone", reason, retryAt > 0);
		left();
		if (retryAt) {
			countdown = setInterval(left, 250);
		}
		break;
	}
	}
}

function overlay(title, text, retry) {
	$("overlay-title").textContent = title;
	$("overlay-text").textContent = text;
	$("overlay-count").textContent = "";
	$("overlay-retry").hidden = !retry;
	$("overlay-back").hidden = framed || root.dataset.state !== "refused";
	$("overlay-how").hidden = root.dataset.state !== "refused";
	$("overlay").hidden = false;
}

// act runs a button's action. The focus then goes back to the console where
// the button was clicked; somebody who walks the bar with keys stays there.
function act(id, connection, action) {
	$(id).addEventListener("click", (event) => {
		action();
		if (event.detail > 0) {
			closeMenu();
			connection.focus();
		}
	});
}

function closeMenu() {
	$("more").open = false;
}

function bar(connection, address) {
	act("ctrl-alt-del", connection, () => connection.rfb?.sendCtrlAltDel());
	act("screenshot", connection, () => saveScreenshot(connection));
	act("overlay-retry", connection, () => connection.connect());
	const fit = $("fit-machine");
	act("fit-machine", connection, () => {
		const on = fit.getAttribute("aria-pressed") !== "true";
		fit.setAttribute("aria-pressed", String(on));
		connection.set("resizeSession", on);
	});
	for (const id of ["ctrl-alt-del", "fit-machine"]) {
		$(id).hidden = address.view;
	}

	const fold = (folded) => {
		root.classList.toggle("folded", folded);
		$("unfold").hidden = !folded;
		$("bar").hidden = folded;
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

	document.addEventListener("pointerdown", (event) => {
		if (!$("more").contains(event.target)) {
			closeMenu();
		}
	}, true);
	$("more").addEventListener("keydown", (event) => {
		if (event.key === "Escape") {
			closeMenu();
			$("more").querySelector("summary").focus();
		}
	});

	// The console takes every key, the Tab key too. This one chord is the
	// page's, so that the bar can be reached without a mouse.
	window.addEventListener("keydown", (event) => {
		if (event.ctrlKey && event.altKey && event.shiftKey && event.code === "KeyB") {
			event.preventDefault();
			event.stopImmediatePropagation();
			fold(false);
			$("scale").focus();
		}
	}, true);
}

function scaling(connection) {
	const button = $("scale");
	const set = (fit) => {
		connection.set("scaleViewport", fit);
		button.setAttribute("aria-pressed", String(fit));
		root.classList.toggle("actual-size", !fit);
		setting.set("scale", fit ? "fit" : "actual");
	};
	set(setting.get("scale") !== "actual");
	act("scale", connection, () => set(!connection.options.scaleViewport));
}

function fullScreen(connection) {
	const button = $("full-screen");
	button.hidden = !document.fullscreenEnabled;
	act("full-screen", connection, async () => {
		try {
			if (document.fullscreenElement) {
				await document.exitFullscreen();
				return;
			}
			await root.requestFullscreen({ navigationUI: "hide" });
			// Where the browser can, keys such as Alt+Tab and Escape go to the
			// machine too; holding Escape still leaves full screen.
			await navigator.keyboard?.lock?.();
		} catch {
			// It was not allowed; nothing changes.
		}
		connection.focus();
	});
	document.addEventListener("fullscreenchange", () => {
		const on = Boolean(document.fullscreenElement);
		button.setAttribute("aria-pressed", String(on));
		if (!on) {
			navigator.keyboard?.unlock?.();
		}
	});
}

// keyboardFocus brings what is typed to the console whenever nothing else on
// the page asks for it.
function keyboardFocus(connection) {
	const idle = () => !document.activeElement || document.activeElement === document.body;
	const take = () => {
		if (idle() && connection.connected()) {
			connection.focus();
		}
	};
	connection.addEventListener("frame", take);
	window.addEventListener("focus", take);
	$("screen").addEventListener("pointerenter", take);
	// A click beside a button takes the focus from the console no more than a
	// click on it does.
	$("bar").addEventListener("mousedown", (event) => {
		if (!event.target.closest("button, a, summary")) {
			event.preventDefault();
		}
	});
	// A key that is held while the focus leaves the canvas would never be let
	// go of. noVNC lets go of all keys when the window loses the focus, so it
	// is told so.
	$("screen").addEventListener("focusout", () => window.dispatchEvent(new Event("blur")));
}

function touchKeyboard(connection) {
	const button = $("touch-keyboard");
	button.hidden = !touch.matches;
	// A tablet may be taken off its keys, or put on them.
	touch.addEventListener("change", () => { button.hidden = !touch.matches; });
	const keyboard = new TouchKeyboard($("touch-field"), $("touch-keys"),
		(keysym, code, down) => connection.rfb?.sendKey(keysym, code, down));
	const set = (on) => {
		button.setAttribute("aria-pressed", String(on));
		root.classList.toggle("touch-typing", on);
		if (on) {
			keyboard.show();
		} else {
			keyboard.hide();
		}
	};
	button.addEventListener("click", () => set(button.getAttribute("aria-pressed") !== "true"));
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

function saveScreenshot(connection) {
	const stamp = new Date().toISOString().slice(0, 19).replace(/[T:]/g, "-");
	const node = ($("name").textContent || "console").replace(/[^\p{L}\p{N}._-]+/gu, "-");
	connection.rfb?.toBlob((blob) => {
		if (!blob) {
			return;
		}
		const link = document.createElement("a");
		link.href = URL.createObjectURL(blob);
		link.download = `${node}-${stamp}.png`;
		link.click();
		setTimeout(() => URL.revokeObjectURL(link.href), 10000);
	}, "image/png");
}

start();

// How the picture is shown: scaled or as it is, on the full screen, or in
// another size of the machine's own; and a copy of it as a file.

import { $, press } from "./dom.js";
import { act } from "./act.js";
import { setting } from "./setting.js";

const root = document.documentElement;

export function display(connection, panels) {
	scaling(connection);
	fullScreen(connection);
	act("screenshot", connection, () => saveScreenshot(connection));
	act("fit-machine", connection, () => {
		const on = $("fit-machine").getAttribute("aria-pressed") !== "true";
		press($("fit-machine"), on);
		// The sheet lies over the picture then: opening it is not to change
		// the machine's screen.
		root.classList.toggle("fit-machine", on);
		connection.set("resizeSession", on);
		if (on) {
			panels.close();
		}
	});
}

function scaling(connection) {
	const set = (fit) => {
		connection.set("scaleViewport", fit);
		press($("scale-fit"), fit);
		press($("scale-actual"), !fit);
		root.classList.toggle("actual-size", !fit);
		setting.set("scale", fit ? "fit" : "actual");
	};
	set(setting.get("scale") !== "actual");
	act("scale-fit", connection, () => set(true));
	act("scale-actual", connection, () => set(false));
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
		press(button, on);
		if (!on) {
			navigator.keyboard?.unlock?.();
		}
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

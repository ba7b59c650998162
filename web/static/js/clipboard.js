// The clipboards: the machine's, this computer's, and a field between them
// for browsers that let no page touch the latter.

import { $, say } from "./dom.js";
import { failed } from "./notices.js";
import { setting } from "./setting.js";

const most = 1 << 20; // bytes that the service takes of a clipboard

export function clipboardPanel(connection) {
	const field = $("clipboard-text");
	const local = navigator.clipboard; // undefined without https or where a frame may not
	let theirs = null; // what the machine's clipboard holds, as far as known

	const tell = (text) => say($("clipboard-said"), text);
	const give = (text) => {
		if (new TextEncoder().encode(text).length > most) {
			tell("This text is longer than 1 MiB, which is too long for the machine's clipboard.");
			return;
		}
		theirs = text;
		connection.rfb?.clipboardPasteFrom(text);
		tell("The machine's clipboard holds this text now.");
	};
	const keep = async (text) => {
		await local.writeText(text);
		tell("This computer's clipboard holds this text now.");
	};

	connection.addEventListener("rfb", ({ detail: rfb }) => {
		rfb.addEventListener("clipboard", ({ detail: { text } }) => {
			theirs = text;
			field.value = text;
			tell("This text was copied at the machine.");
			if (sharing()) {
				keep(text).catch(() => {
					// The page has not the focus, or may not: the field has it.
				});
			}
		});
	});

	$("clipboard-send").addEventListener("click", () => give(field.value));
	for (const id of ["clipboard-read", "clipboard-write", "clipboard-share"]) {
		$(id).closest("[data-local]").hidden = !local;
	}
	$("clipboard-none").hidden = Boolean(local);
	$("clipboard-write").addEventListener("click", () => keep(field.value).catch((err) => failed("The text could not be copied.", err)));
	$("clipboard-read").addEventListener("click", async () => {
		try {
			field.value = await local.readText();
			give(field.value);
		} catch {
			tell("The browser does not let this page read the clipboard. Paste into the field instead, and send that.");
			field.focus();
		}
	});

	// Sharing by itself is asked for, because what is copied elsewhere, such as
	// a password, would reach a machine unasked.
	const share = $("clipboard-share");
	const sharing = () => Boolean(local) && share.checked;
	share.checked = setting.get("clipboard") === "share";
	share.addEventListener("change", () => {
		setting.set("clipboard", share.checked ? "share" : "");
		look();
	});
	const look = async () => {
		if (!sharing() || !connection.connected() || !document.hasFocus()) {
			return;
		}
		try {
			const text = await local.readText();
			if (text && text !== theirs) {
				field.value = text;
				give(text);
			}
		} catch {
			// The browser did not let us; the button says so when it is used.
		}
	};
	window.addEventListener("focus", look);
}

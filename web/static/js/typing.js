// The panel that types a text at the machine, key by key: for a machine whose
// clipboard nobody shares, such as firmware or a terminal.

import { $, make, say, sentence } from "./dom.js";
import { Refused } from "./api.js";
import { failed, notice } from "./notices.js";
import { setting } from "./setting.js";

export function typingPanel(service, mayOperate) {
	const field = $("type-text");
	const layout = $("type-layout");
	let chosen = setting.get(`layout.${service.claims?.node}`) || "";
	let unknown = []; // what cannot be typed, with how often it is there
	let busy = false;
	let running = ""; // the text being typed, at the last look

	layout.addEventListener("change", () => {
		chosen = layout.value;
		setting.set(`layout.${service.claims.node}`, chosen);
		clear();
	});
	field.addEventListener("input", () => {
		clear();
		show();
	});
	const clear = () => {
		unknown = [];
		$("type-untypable").hidden = true;
	};

	// untypable names what the layout lacks; nothing was typed.
	const untypable = (characters) => {
		unknown = characters;
		const list = $("type-characters");
		list.replaceChildren(...characters.slice(0, 20).map(({ character, count }) => make("li", {},
			make("kbd", { textContent: visible(character) }),
			count > 1 ? ` ${count} times` : " once")));
		if (characters.length > 20) {
			list.append(make("li", { textContent: `and ${characters.length - 20} more` }));
		}
		say($("type-untypable-text"), `Nothing was typed: the layout “${layout.value}” has no keys for`);
		$("type-untypable").hidden = false;
	};

	$("type-leave-out").addEventListener("click", () => {
		for (const { character } of unknown) {
			field.value = field.value.replaceAll(character, "");
		}
		clear();
		show();
		field.focus();
	});

	$("type-send").addEventListener("click", async () => {
		clear();
		busy = true;
		show();
		try {
			await service.request("console/text", { method: "POST", body: { text: field.value, layout: layout.value } });
		} catch (err) {
			if (err instanceof Refused && err.status === 422 && Array.isArray(err.problem.characters)) {
				untypable(err.problem.characters);
			} else {
				failed("The text was not typed.", err);
			}
		} finally {
			busy = false;
			show();
		}
	});

	$("type-cancel").addEventListener("click", async () => {
		try {
			await service.request("console/text", { method: "DELETE" });
		} catch (err) {
			failed("The typing could not be stopped.", err);
		}
	});

	const show = () => {
		const { typing, layouts = [], layout: own } = service.snapshot || {};
		if (layouts.join() !== [...layout.options].map((o) => o.value).join()) {
			layout.replaceChildren(...layouts.map((name) => make("option", { value: name, textContent: `${names[name] || name} (${name})` })));
		}
		layout.value = layouts.includes(chosen) ? chosen : own || layouts[0] || "";
		const active = Boolean(typing?.active);
		$("type-send").disabled = busy || active || !field.value || !mayOperate();
		layout.disabled = active;
		$("type-progress").hidden = !active;
		if (running && !active && typing?.id === running && typing.error) {
			notice("typing", { text: `${sentence(typing.error)}.`, tone: "warn", last: 12000 });
		}
		running = active ? typing.id : "";
		if (active) {
			$("type-bar").max = Math.max(1, typing.total);
			$("type-bar").value = typing.done;
			const who = typing.by && typing.by !== service.snapshot.you ? someone(service, typing.by) : "";
			say($("type-count"), `${typing.done} of ${typing.total} characters${who ? `, by ${who}` : ""}`);
		}
		$("type-cancel").disabled = !mayOperate();
	};
	service.addEventListener("snapshot", show);
	show();
}

// someone is the name of a session, which the service gives by id or in words.
function someone(service, by) {
	return service.snapshot.seats?.sessions?.find((s) => s.id === by)?.name || by;
}

// visible writes a character that cannot be seen by its number.
function visible(character) {
	return /^[\p{L}\p{N}\p{P}\p{S}]+$/u.test(character) ? character
		: `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
}

const names = {
	us: "US", uk: "United Kingdom", de: "German", fr: "French", es: "Spanish", it: "Italian", se: "Swedish",
	no: "Norwegian", dk: "Danish", ch: "Swiss", jp: "Japanese", br: "Brazilian",
};

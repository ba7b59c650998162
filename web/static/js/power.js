// The machine's power and what it starts from, through the service where the
// node has a BMC, else through RFB where its server offers that (xvp).

import { $, say } from "./dom.js";
import { ask } from "./ask.js";
import { failed, notice } from "./notices.js";

const actions = {
	on: ["Power on", null, "The machine was told to power on."],
	cycle: ["Power cycle", "It is switched off at once and on again. What runs there is not stopped first, and what was not written is lost.", "The machine was told to go off and on again."],
	reset: ["Reset", "It restarts at once, as with its reset button. What runs there is not stopped first, and what was not written is lost.", "The machine was told to restart."],
	off: ["Power off", "It is switched off at once. What runs there is not stopped first, and what was not written is lost.", "The machine was told to power off."],
	// What xvp calls by these names.
	shutdown: ["Shut down", "It is told to shut down, as with a short press of its power button.", "The machine was told to shut down."],
	reboot: ["Restart", "It is told to restart.", "The machine was told to restart."],
};

const states = { on: "On", off: "Off", unknown: "Unknown" };

export function powerPanel(connection, service, panels, mayOperate) {
	const xvp = () => !service.snapshot?.power?.available && Boolean(connection.rfb?.capabilities.power) && connection.connected();
	let busy = false;

	const act = async (name, run) => {
		const [title, text, done] = actions[name];
		const node = $("name").textContent;
		if (text && !await ask({ title: `${title}: ${node}?`, text, yes: title })) {
			return;
		}
		busy = true;
		show();
		try {
			await run();
			notice("power", { text: done, last: 8000 });
		} catch (err) {
			failed(`${title} did not succeed.`, err);
		} finally {
			busy = false;
			show();
		}
	};
	for (const button of document.querySelectorAll("[data-power]")) {
		const action = button.dataset.power;
		button.addEventListener("click", () => act(action, () => service.request("power", { method: "POST", body: { action } })));
	}
	const over = { shutdown: "machineShutdown", reboot: "machineReboot", reset: "machineReset" };
	for (const button of document.querySelectorAll("[data-xvp]")) {
		button.addEventListener("click", () => act(button.dataset.xvp, () => connection.rfb?.[over[button.dataset.xvp]]()));
	}
	$("boot-set").addEventListener("click", async () => {
		const device = $("boot-device");
		try {
			await service.request("boot-device", { method: "POST", body: { device: device.value } });
			notice("power", { text: `The next start is from: ${device.selectedOptions[0].textContent}.`, last: 8000 });
		} catch (err) {
			failed("The boot device was not set.", err);
		}
	});

	const show = () => {
		const { power } = service.snapshot || {};
		panels.offer("power", Boolean(power) || xvp());
		const available = Boolean(power?.available);
		const can = (action) => available && (power.actions?.includes(action) ?? true);
		const state = available ? power.state : "unknown";
		say($("power-state"), states[state] || state);
		$("power-sign").dataset.state = state;
		$("power-now").hidden = xvp();
		const why = xvp() ? "" : !available ? power?.reason || "The service cannot act on this machine's power."
			: !mayOperate() ? "Only who operates this console may act on the machine's power."
				: can("on") ? "" : "This machine cannot be switched on from here.";
		say($("power-reason"), why);
		$("power-reason").hidden = !why;
		$("power-api").hidden = xvp();
		$("power-xvp").hidden = !xvp();
		for (const button of document.querySelectorAll("[data-power], [data-xvp]")) {
			button.disabled = busy || !mayOperate() || !button.dataset.xvp && !can(button.dataset.power);
		}
		// What knows no state of the power knows no boot device either.
		$("boot").hidden = !available || state === "unknown";
		$("boot-set").disabled = $("boot-device").disabled = !mayOperate();
	};
	service.addEventListener("snapshot", show);
	connection.addEventListener("state", show);
	connection.addEventListener("rfb", ({ detail: rfb }) => rfb.addEventListener("capabilities", show));
	show();
}

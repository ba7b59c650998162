// A console that nobody uses is closed after a time. Before it is, the page
// counts down and offers to go on; so it does before a time that is the last.

import { clock, time } from "./dom.js";
import { dismiss, failed, notice } from "./notices.js";

export function leaseCountdown(service) {
	let ticking = 0;
	let marked = "";

	const mark = (text) => {
		if (text !== marked) {
			const own = document.title.startsWith(marked) ? document.title.slice(marked.length) : document.title;
			document.title = text + own;
			marked = text;
		}
	};
	const extend = async () => {
		try {
			await service.extend();
		} catch (err) {
			failed("The time was not extended.", err);
		}
	};
	const seconds = (at) => (at ? (Date.parse(at) - service.now()) / 1000 : Infinity);

	const tick = () => {
		clearTimeout(ticking);
		const { lease } = service.connected && service.snapshot || {};
		const warning = lease?.warning_seconds || 60;
		const idle = seconds(lease?.expires_at), end = seconds(lease?.ends_at);
		if (end <= Math.max(warning, 300) && end <= idle) {
			notice("lease", { text: `This console's time ends at ${time(lease.ends_at)} and cannot be extended.`, detail: clock(end), tone: "warn" });
			mark(`${clock(end)} · `);
		} else if (idle <= warning) {
			notice("lease", {
				text: "Nobody has used this console for a while. It closes unless somebody does.", detail: clock(idle), tone: "warn",
				actions: [["Extend", extend]],
			});
			mark(`${clock(idle)} · `);
		} else {
			dismiss("lease");
			mark("");
		}
		const next = Math.min(idle - warning, end - Math.max(warning, 300));
		if (Number.isFinite(next)) {
			// Within the warning each second, before it once when it begins.
			ticking = setTimeout(tick, next > 1 ? Math.min(next * 1000, 60000) : 250);
		}
	};
	service.addEventListener("snapshot", tick);
}

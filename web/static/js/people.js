// Who is at this console, who operates it, and how that changes.

import { $, clock, make, say, time } from "./dom.js";
import { dismiss, failed, notice } from "./notices.js";

export function peoplePanel(connection, service, panels) {
	const field = $("people-name");
	field.value = service.name;
	$("people-own").addEventListener("submit", (event) => {
		event.preventDefault();
		const name = field.value.trim();
		if (name !== service.name) {
			service.name = name;
			connection.parameters.name = name;
			// The service learns it with the session, which is taken up again.
			connection.connect();
		}
		connection.focus();
	});

	const seat = async (action, session) => {
		try {
			await service.seat(action, session);
		} catch (err) {
			failed("That did not succeed.", err);
		}
	};
	for (const button of document.querySelectorAll("[data-seat]")) {
		button.addEventListener("click", () => seat(button.dataset.seat));
	}

	let operated = null; // whether this page operated, at the last look

	const show = () => {
		const { snapshot, me } = service;
		panels.offer("people", Boolean(snapshot?.seats));
		if (!snapshot?.seats) {
			return;
		}
		const { policy, sessions = [] } = snapshot.seats;
		const exclusive = policy === "exclusive";
		const admin = service.claims?.admin === true;
		const operator = sessions.find((s) => s.operating);
		const iOperate = Boolean(me?.operating);
		const mayAsk = exclusive && me?.mode === "operate" && !iOperate;

		const count = snapshot.seats.count ?? sessions.length; // not all are listed
		say($("people-count"), String(count));
		$("people-count").hidden = count < 2;
		$("people-own").hidden = Boolean(service.claims?.name);
		say($("people-policy"), !exclusive ? "Everybody here whose link allows it uses keyboard and mouse."
			: iOperate ? "You operate: keyboard and mouse are yours alone."
				: operator ? `${called(operator)} operates: keyboard and mouse are with them.`
					: "Nobody operates at present.");
		const can = {
			request: mayAsk && !me.requested_at,
			withdraw: mayAsk && Boolean(me.requested_at),
			take: exclusive && admin && !iOperate && me?.mode === "operate",
			release: exclusive && iOperate,
		};
		for (const button of document.querySelectorAll("[data-seat]")) {
			button.hidden = !can[button.dataset.seat];
		}
		list(sessions, snapshot, { exclusive, admin, iOperate });
		requests(sessions, snapshot, exclusive && iOperate);
		if (exclusive && operated !== null && operated !== iOperate) {
			notice("seat", { text: iOperate ? "You operate now: keyboard and mouse are yours."
				: operator ? `${called(operator)} operates now.` : "You do not operate any more.", last: 6000 });
		}
		operated = me ? iOperate : null;
	};

	// list shows the sessions. It is built anew only where it differs, or the
	// focus would be lost with each event.
	let built = "";
	const list = (sessions, snapshot, { exclusive, admin, iOperate }) => {
		const now = JSON.stringify([sessions, snapshot.you, exclusive, admin, iOperate]);
		if (now === built) {
			return;
		}
		built = now;
		const focused = document.activeElement?.dataset?.act;
		$("people-list").replaceChildren(...sessions.map((s) => {
			const you = s.id === snapshot.you;
			const what = s.away ? "Away" : s.mode !== "operate" ? "Looks on" : s.operating ? (exclusive ? "Operates" : "Uses keyboard and mouse")
				: s.requested_at ? "Asks to operate" : "Looks on";
			const row = make("li", { className: s.operating ? "person operating" : "person" },
				make("span", { className: "initial", "aria-hidden": "true", textContent: initial(s) }),
				make("span", { className: "who" },
					make("strong", { textContent: called(s) }), you ? " (you)" : "",
					make("small", { textContent: [what, `since ${time(s.since)}`, s.remote].filter(Boolean).join(" · ") })));
			const deeds = make("span", { className: "deeds" });
			const button = (action, label, className = "") => {
				const b = make("button", { type: "button", className, textContent: label, "aria-label": `${label}: ${called(s)}` });
				b.dataset.act = `${action}.${s.id}`;
				b.addEventListener("click", () => seat(action, s.id));
				deeds.append(b);
			};
			if (!you && exclusive && s.mode === "operate" && !s.operating) {
				if (iOperate && s.requested_at) {
					button("grant", "Hand over", "primary");
					button("refuse", "Refuse");
				} else if (admin) {
					button("take", "Let operate");
				}
			}
			if (deeds.firstChild) {
				row.append(deeds);
			}
			return row;
		}));
		if (focused) {
			document.querySelector(`[data-act="${CSS.escape(focused)}"]`)?.focus();
		}
	};

	// requests asks the operator, wherever on the page they are. An operator
	// that does nothing loses the seat to the one who asked first, at grants_at.
	let asking = new Set();
	let ticking = 0;
	const requests = (sessions, snapshot, iOperate) => {
		clearTimeout(ticking);
		const waiting = iOperate ? sessions.filter((s) => s.requested_at && s.id !== snapshot.you) : [];
		const now = new Set(waiting.map((s) => s.id));
		for (const id of asking) {
			if (!now.has(id)) {
				dismiss(`request.${id}`);
			}
		}
		asking = now;
		const first = waiting.reduce((a, s) => (a && a.requested_at <= s.requested_at ? a : s), null);
		const left = (Date.parse(snapshot.seats.grants_at) - service.now()) / 1000;
		for (const s of waiting) {
			const soon = s === first && left > 0;
			notice(`request.${s.id}`, {
				text: soon ? `${called(s)} asks to operate this console, and will unless you use it.` : `${called(s)} asks to operate this console.`,
				detail: soon ? clock(left) : "",
				actions: [["Hand over", () => seat("grant", s.id)], ["Refuse", () => seat("refuse", s.id)]],
			});
		}
		if (first && left > 0) {
			ticking = setTimeout(() => requests(sessions, snapshot, iOperate), 250);
		}
	};

	service.addEventListener("snapshot", show);
	show();
}

function called(session) {
	return session.name || `Somebody (${session.id.slice(0, 4)})`;
}

function initial(session) {
	return [...(session.name || "?")][0].toUpperCase();
}

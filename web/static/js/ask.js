// A question before something that cannot be taken back.

const $ = (id) => document.getElementById(id);

// ask shows the question and resolves to whether it was answered with yes,
// which is the label of that button.
export function ask({ title, text, yes }) {
	const dialog = $("ask");
	$("ask-title").textContent = title;
	$("ask-text").textContent = text;
	$("ask-yes").textContent = yes;
	return new Promise((resolve) => {
		const answered = new AbortController();
		const on = (element, event, act) => element.addEventListener(event, act, { signal: answered.signal });
		const finish = (yes) => {
			answered.abort();
			dialog.close();
			resolve(yes);
		};
		on($("ask-yes"), "click", () => finish(true));
		on($("ask-no"), "click", () => finish(false));
		// Escape. The event of a question before this one may come late, when
		// this one is open.
		on(dialog, "close", () => dialog.open || finish(false));
		dialog.showModal();
		$("ask-no").focus();
	});
}

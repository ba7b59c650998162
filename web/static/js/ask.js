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
		on($("ask-yes"), "click", () => dialog.close("yes"));
		on($("ask-no"), "click", () => dialog.close());
		on(dialog, "close", () => {
			answered.abort();
			resolve(dialog.returnValue === "yes");
		});
		dialog.returnValue = "";
		dialog.showModal();
		$("ask-no").focus();
	});
}

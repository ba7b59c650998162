// What a button of the console page does, and where the focus goes then.

import { $ } from "./dom.js";

// act runs a button's action. The focus then goes back to the console where
// the button was clicked; somebody who walks the page with keys stays there.
export function act(id, connection, action) {
	$(id).addEventListener("click", (event) => {
		action();
		if (event.detail > 0) {
			connection.focus();
		}
	});
}

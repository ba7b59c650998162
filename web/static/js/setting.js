// Choices that are remembered where the browser lets us: in a frame of another
// site there may be no storage, and then they hold until the page is left.

const kept = new Map();

function of(storage) {
	return {
		get(name) {
			try {
				return window[storage].getItem(`ironglass.${name}`) ?? kept.get(name) ?? null;
			} catch {
				return kept.get(name) ?? null;
			}
		},
		set(name, value) {
			kept.set(name, value);
			try {
				window[storage].setItem(`ironglass.${name}`, value);
			} catch {
				// It is kept above.
			}
		},
	};
}

// setting holds for this browser, tab for this tab, over a reload.
export const setting = of("localStorage");
export const tab = of("sessionStorage");

// The pictures on the fleet page. Each is fetched when its card comes into
// view, and then now and then while it stays there, a few at a time.

import * as api from "./api.js";

const interval = 6000; // ms between two pictures of one node
const atOnce = 3; // pictures fetched at a time
const width = 480; // pixels: a card's width on a fine display, about

class Thumbnail {
	constructor(owner, element, img, name) {
		this.owner = owner;
		this.element = element;
		this.img = img;
		this.name = name;
		this.visible = false;
		this.isLive = false;
		this.due = 0; // when the next picture is wanted, ms of performance.now
		this.fetching = null;
	}

	live(yes) {
		if (yes !== this.isLive) {
			this.isLive = yes;
			this.due = 0;
			this.owner.pump();
		}
	}

	wanted() {
		return this.visible && this.isLive && !this.fetching;
	}

	async fetch() {
		this.fetching = new AbortController();
		try {
			const blob = await api.screenshot(this.name, width, this.fetching.signal);
			const url = URL.createObjectURL(blob);
			const old = this.img.src;
			this.img.src = url;
			await this.img.decode().catch(() => {});
			this.img.hidden = false;
			if (old) {
				URL.revokeObjectURL(old);
			}
		} catch {
			// The list says what is wrong; the picture before stays.
		} finally {
			this.fetching = null;
			this.due = performance.now() + interval;
		}
	}

	remove() {
		this.fetching?.abort();
		this.owner.drop(this);
		if (this.img.src) {
			URL.revokeObjectURL(this.img.src);
		}
	}
}

class Thumbnails {
	constructor() {
		this.all = new Map(); // by element
		this.running = 0;
		this.timer = 0;
		this.observer = new IntersectionObserver((entries) => {
			for (const entry of entries) {
				const thumbnail = this.all.get(entry.target);
				if (thumbnail) {
					thumbnail.visible = entry.isIntersecting;
				}
			}
			this.pump();
		}, { rootMargin: "100px" });
		document.addEventListener("visibilitychange", () => this.pump());
	}

	add(element, img, name) {
		const thumbnail = new Thumbnail(this, element, img, name);
		this.all.set(element, thumbnail);
		this.observer.observe(element);
		return thumbnail;
	}

	drop(thumbnail) {
		this.observer.unobserve(thumbnail.element);
		this.all.delete(thumbnail.element);
	}

	// pump fetches what is due, the longest due first, and plans the next time.
	pump() {
		clearTimeout(this.timer);
		if (document.hidden) {
			return;
		}
		const now = performance.now();
		const queue = [...this.all.values()].filter((t) => t.wanted()).sort((a, b) => a.due - b.due);
		for (const thumbnail of queue) {
			if (thumbnail.due > now) {
				this.timer = setTimeout(() => this.pump(), thumbnail.due - now);
				return;
			}
			if (this.running >= atOnce) {
				return; // the one that ends pumps again
			}
			this.running++;
			thumbnail.fetch().finally(() => {
				this.running--;
				this.pump();
			});
		}
	}
}

export const thumbnails = new Thumbnails();

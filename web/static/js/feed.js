// A stream of server-sent events, read with fetch: an EventSource cannot send
// the token in a header, and an address is no place for it.

const firstWait = 500; // ms before the first new try
const longestWait = 20000;
const silence = 45000; // ms without a byte after which a stream is dead

// Feed keeps one stream open. Its owner gives:
//
//	open(signal)          sends the request and returns its response
//	message(kind, data)   takes an event; data is the parsed JSON
//	opened(response)      is told of each stream that begins
//	broke(err)            is told why one ended, undefined where the server
//	                      ended it; false gives up
export class Feed {
	constructor(owner) {
		this.owner = owner;
		this.abort = null;
		this.timer = 0;
		this.wait = firstWait;
	}

	get running() {
		return Boolean(this.abort || this.timer);
	}

	start() {
		if (!this.running) {
			this.wait = firstWait;
			this.read();
		}
	}

	stop() {
		clearTimeout(this.timer);
		this.timer = 0;
		this.abort?.abort();
		this.abort = null;
	}

	async read() {
		this.timer = 0;
		const abort = this.abort = new AbortController();
		let reason;
		try {
			const response = await this.owner.open(abort.signal);
			if (!/^text\/event-stream\b/.test(response.headers.get("Content-Type") || "")) {
				throw new NotAStream();
			}
			this.owner.opened(response);
			for await (const { kind, data } of events(response.body, abort)) {
				this.wait = firstWait;
				this.owner.message(kind, data);
			}
		} catch (err) {
			reason = err;
		}
		if (this.abort !== abort) {
			return; // stopped, and perhaps started again
		}
		abort.abort();
		this.abort = null;
		if (this.owner.broke(reason) === false) {
			return;
		}
		// Not all pages are to come back at the same time.
		this.timer = setTimeout(() => this.read(), this.wait * (0.75 + Math.random() / 2));
		this.wait = Math.min(this.wait * 2, longestWait);
	}
}

// NotAStream is why a feed ended whose server answers with something else.
export class NotAStream extends Error {
	constructor() {
		super("The server has no stream of events there.");
		this.name = "NotAStream";
	}
}

// events yields the events of a body as they come (HTML, 9.2.6). What is no
// JSON is left out.
async function* events(body, abort) {
	const reader = body.pipeThrough(new TextDecoderStream()).getReader();
	let rest = "", kind = "", data = [];
	for (;;) {
		const patience = setTimeout(() => abort.abort(), silence);
		const { value, done } = await reader.read().finally(() => clearTimeout(patience));
		if (done) {
			return;
		}
		const lines = (rest + value).split("\n");
		rest = lines.pop();
		for (const line of lines.map((l) => l.replace(/\r$/, ""))) {
			if (line === "") {
				if (data.length > 0) {
					const parsed = parse(data.join("\n"));
					if (parsed !== undefined) {
						yield { kind: kind || "message", data: parsed };
					}
				}
				kind = "";
				data = [];
				continue;
			}
			const [, field, text] = /^([^:]*):? ?(.*)$/.exec(line);
			if (field === "event") {
				kind = text;
			} else if (field === "data") {
				data.push(text);
			}
		}
	}
}

function parse(text) {
	try {
		return JSON.parse(text);
	} catch {
		return undefined;
	}
}

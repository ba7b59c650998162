// Times as people read them.

// span is a number of seconds as in 1:02:03 or 4:05.
export function span(seconds) {
	const s = Math.max(0, Math.floor(seconds + 1e-6));
	const two = (n) => String(n).padStart(2, "0");
	const rest = `${two(s % 60)}`;
	const minutes = Math.floor(s / 60);
	return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${rest}`;
}

// spoken is the same to be read aloud.
export function spoken(seconds) {
	const s = Math.max(0, Math.floor(seconds + 1e-6));
	const part = (n, unit) => n ? `${n} ${unit}${n === 1 ? "" : "s"}` : "";
	return [part(Math.floor(s / 3600), "hour"), part(Math.floor(s / 60) % 60, "minute"), part(s % 60, "second")]
		.filter(Boolean).join(" ") || "0 seconds";
}

// moment is a date and a time.
export function moment(date) {
	return date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

// clock is a time of the day.
export function clock(date) {
	return date.toLocaleTimeString(undefined, { timeStyle: "medium" });
}

// size is a number of bytes as in 1.2 MB.
export function size(bytes) {
	const units = ["B", "kB", "MB", "GB", "TB"];
	let i = 0;
	let n = bytes;
	while (n >= 1000 && i < units.length - 1) {
		n /= 1000;
		i++;
	}
	return `${n < 10 && i ? n.toFixed(1) : Math.round(n)} ${units[i]}`;
}

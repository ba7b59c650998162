/*
 * vncclient is a viewer without a window on top of libvncclient, for the
 * integration tests: it follows a server and keeps the last picture in a file.
 *
 *   vncclient HOST PORT FILE ENCODINGS COMPRESS QUALITY BITS DEPTH BIG-ENDIAN
 *             RED-MAX GREEN-MAX BLUE-MAX RED-SHIFT GREEN-SHIFT BLUE-SHIFT
 *
 * ENCODINGS are the library's names, the best first, in one word with spaces.
 * QUALITY is a JPEG quality level, negative for no JPEG at all. What follows is
 * the pixel format to ask for, in the order of PIXEL_FORMAT.
 *
 * FILE appears whenever the server pauses, whole at once: a line with the width
 * and the height in pixels, then the pixels in the format that was asked for.
 */
#include <stdio.h>
#include <stdlib.h>
#include <rfb/rfbclient.h>

/* How long a server must be silent before the picture is kept, in µs. */
#define PAUSE (20 * 1000)

static int save(const rfbClient *client, const char *file)
{
	char partial[4096];
	size_t bytes = (size_t)client->width * client->height * (client->format.bitsPerPixel / 8);
	FILE *out;

	if (snprintf(partial, sizeof(partial), "%s.partial", file) >= (int)sizeof(partial))
		return 0;
	out = fopen(partial, "wb");
	if (!out)
		return 0;
	fprintf(out, "%d %d\n", client->width, client->height);
	fwrite(client->frameBuffer, 1, bytes, out);
	if (fclose(out))
		return 0;
	return rename(partial, file) == 0;
}

int main(int argc, char **argv)
{
	rfbClient *client;
	int fresh = 0; /* the file lacks what has been received */

	if (argc != 16) {
		fprintf(stderr, "vncclient: see the head of client.c for the arguments\n");
		return 2;
	}
	client = rfbGetClient(8, 3, 4); /* every field that matters is set below */
	client->serverHost = strdup(argv[1]);
	client->serverPort = atoi(argv[2]);
	client->canHandleNewFBSize = TRUE;
	client->appData.shareDesktop = TRUE;
	client->appData.encodingsString = argv[4];
	client->appData.compressLevel = atoi(argv[5]);
	client->appData.enableJPEG = atoi(argv[6]) >= 0;
	client->appData.qualityLevel = atoi(argv[6]);
	client->format.bitsPerPixel = atoi(argv[7]);
	client->format.depth = atoi(argv[8]);
	client->format.bigEndian = atoi(argv[9]);
	client->format.trueColour = TRUE;
	client->format.redMax = atoi(argv[10]);
	client->format.greenMax = atoi(argv[11]);
	client->format.blueMax = atoi(argv[12]);
	client->format.redShift = atoi(argv[13]);
	client->format.greenShift = atoi(argv[14]);
	client->format.blueShift = atoi(argv[15]);
	if (!rfbInitClient(client, NULL, NULL)) { /* which frees it */
		fprintf(stderr, "vncclient: no session with %s port %s\n", argv[1], argv[2]);
		return 1;
	}
	for (;;) {
		int ready = WaitForMessage(client, fresh ? PAUSE : 1000 * 1000);

		if (ready < 0)
			break;
		if (ready > 0) {
			if (!HandleRFBServerMessage(client))
				break;
			fresh = 1;
		} else if (fresh) {
			if (!save(client, argv[3])) {
				fprintf(stderr, "vncclient: cannot write %s\n", argv[3]);
				return 1;
			}
			fresh = 0;
		}
	}
	fprintf(stderr, "vncclient: the session has ended\n");
	return 1;
}

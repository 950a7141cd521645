import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * The text of a secret file, without its last line break; null where there is no such file.
 * Any other trouble (no permission, a folder) is a broken machine and throws.
 */
export async function readSecretFile(file: string): Promise<string | null> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/**
 * Writes a secret to a file of mode 0600 unless the file exists, and returns what the file holds afterwards.
 * The file appears whole or not at all, and two processes that start at once agree on one text.
 */
export async function keepSecretFile(file: string, text: string): Promise<{ text: string; made: boolean }> {
  await mkdir(dirname(file), { recursive: true });
  const draft = `${file}.${randomBytes(6).toString('hex')}`;
  await writeFile(draft, `${text}\n`, { mode: 0o600, flag: 'wx', flush: true });
  try {
    await link(draft, file);
    await settle(dirname(file));
    return { text, made: true };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return { text: (await readSecretFile(file)) ?? text, made: false };
  } finally {
    await unlink(draft);
  }
}

/**
 * Puts `next` in the place of `file`, which stays as `old`: at no moment, and after no power cut, is one of the two
 * texts in no file at all.
 */
export async function replaceSecretFile(file: string, next: string, old: string): Promise<void> {
  await link(file, old).catch((error: NodeJS.ErrnoException) => {
    // A replacement that was cut off here goes on.
    if (error.code !== 'EEXIST') throw error;
  });
  await settle(dirname(file));
  await rename(next, file);
  await settle(dirname(file));
}

/** Names of files, too, are on the disk only once their folder is. */
async function settle(folder: string): Promise<void> {
  // Windows has no such call for folders, and no such need.
  if (process.platform === 'win32') return;
  const handle = await open(folder);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

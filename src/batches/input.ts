// Reads the input of a batch once, from end to end: its lines are written down, or what is wrong with them is told.
import type { Active, Book } from './book.ts'
import type { Files } from './files.ts'
import { Cutter, checkLine, type Cut, type LineError } from './jsonl.ts'

/** More errors than these tell nothing new. */
const MAX_ERRORS = 20

/** What is wrong with the lines; none: all of them are written down. Null: it was not to go on (`goesOn`, asked between pieces). */
export async function checkInput(
  { book, files, maxLines }: { readonly book: Book; readonly files: Files; readonly maxLines: number },
  batch: Active,
  goesOn: () => Promise<boolean>,
): Promise<LineError[] | null> {
  const { endpoint } = book.now(batch.seq)
  const cutter = new Cutter()
  const known = new Set<string>()
  const errors: LineError[] = []
  book.clear(batch.seq)
  const take = (cuts: Iterable<Cut>) => {
    const lines: (Cut & { custom: string })[] = []
    for (const cut of cuts) {
      const found = checkLine(cut, endpoint, known)
      if (typeof found === 'object') {
        errors.push(found)
        continue
      }
      known.add(found)
      lines.push({ ...cut, custom: found })
    }
    book.add(batch.seq, lines)
  }
  const isDone = () => errors.length >= MAX_ERRORS || known.size > maxLines
  for (let at = 0; !isDone();) {
    const part = files.part(batch.input, at)
    if (!part) break
    take(cutter.cut(part.bytes))
    at = part.next
    if (!(await goesOn())) return null
  }
  if (!isDone()) take(cutter.end())
  if (known.size > maxLines)
    return [fault('too_many_lines', `The file has more than ${maxLines} lines (--batch-lines).`)]
  if (known.size === 0 && errors.length === 0) return [fault('empty_file', 'The file has no lines.')]
  return errors.slice(0, MAX_ERRORS)
}

const fault = (code: string, message: string): LineError => ({ code, message, param: null, line: null })

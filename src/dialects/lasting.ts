// How dialects answer where a process lives: a runtime that keeps no time between requests does not carry what is done by the clock.
import { surface as productionStack } from './production-stack/lasting.ts'
import { surfaceNamed, type MakeSurface } from './surfaces.ts'

/** As `surfaceNamed`. */
export const lastingSurfaceNamed = (name: string): MakeSurface | null =>
  name === 'production-stack' ? productionStack : surfaceNamed(name)

/** Thrown inside the corridor when the client is gone: nobody reads what is answered. */
export class ClientLeft extends Error {
  constructor() {
    super('the client left')
    this.name = 'ClientLeft'
  }
}

//! Orders meet: placing, matching in price-time priority, cancelling, amending.
//!
//! What an order may cost is reserved before it meets anything, so a match cannot fail for lack of funds; what
//! turns out not to be needed is released at once. An order never trades with another of its own account: the
//! older one is cancelled.

use domain::{AccountId, Amount, EventKind, UnixNanos};

use super::{
    Fill, HISTORY_PER_ACCOUNT_MAX, Ledger, NewOrder, OPEN_ORDERS_PER_ACCOUNT_MAX, Order, OrderId, OrderKind,
    OrderState, PLACES_MAX, Place, Posting, QuantityOf, Refusal, Side, TRADES_PER_INSTRUMENT_MAX, Trade,
    Update, remember,
};
use crate::catalog::Instrument;

/// Fee of the order that waited, in hundredths of a percent of what it receives.
pub const MAKER_FEE_BPS: u32 = 8;
/// Fee of the order that came, in hundredths of a percent of what it receives.
pub const TAKER_FEE_BPS: u32 = 10;
/// Orders one order can meet; what would meet more is cut off there and the rest cancelled.
pub const MATCHES_PER_ORDER_MAX: usize = 100;
/// Longest client order id, in bytes.
const CLIENT_ID_BYTES_MAX: usize = 32;
/// Longest tag, in bytes.
const TAG_BYTES_MAX: usize = 16;

/// How a client names an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderRef {
    /// By the client's own id.
    ClientId(String),
    /// By the exchange's number.
    Id(OrderId),
}

/// What is to change about an open order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amendment {
    /// New limit price.
    pub price: Option<Amount>,
    /// New quantity, what is already traded included.
    pub quantity: Option<Amount>,
}

/// What came of meeting the best order of the other side.
enum Meeting {
    /// It was the same account's; it is gone.
    CanceledOwn,
    /// Nobody there, or nothing left to trade.
    Nobody,
    /// They traded.
    Traded,
}

impl Ledger {
    /// Accepts an order and lets it meet the book. The answer says where it stands afterwards.
    ///
    /// # Errors
    /// [`Refusal`]; the order then never existed.
    pub fn place_order(&mut self, terms: NewOrder, now: UnixNanos) -> Result<Order, Refusal> {
        let account = self.account(&terms.account)?;
        let instrument = self.listed(&terms.instrument)?.clone();
        check_terms(&instrument, &terms)?;
        if account.open_orders.len() >= OPEN_ORDERS_PER_ACCOUNT_MAX {
            return Err(Refusal::LimitReached { what: "open orders" });
        }
        if terms.client_id.as_ref().is_some_and(|id| account.client_order_ids.contains_key(id)) {
            return Err(Refusal::AlreadyExists { what: "clOrdId" });
        }
        let reserve = self.reserve_of(&terms)?;
        self.hold(&terms.account, &instrument, terms.side, reserve)?;

        let id = self.fresh_id();
        if let Some(client_id) = terms.client_id.clone() {
            self.account_mut(&terms.account)?.client_order_ids.insert(client_id, id);
        }
        let order = Order {
            id,
            terms,
            state: OrderState::Live,
            filled: Amount::ZERO,
            filled_value: Amount::ZERO,
            fee: Amount::ZERO,
            held: reserve,
            last_fill: None,
            created_at: now,
            updated_at: now,
            priority: id,
        };
        self.updates.push(Update::Order(Box::new(order.clone())));
        let order = self.enter(order, &instrument, now)?;
        self.report_touched();
        Ok(order)
    }

    /// Takes an open order out of the book.
    ///
    /// # Errors
    /// [`Refusal::OrderUnknown`] or [`Refusal::OrderFinished`].
    pub fn cancel_order(
        &mut self,
        account: &AccountId,
        instrument: &str,
        order: &OrderRef,
        now: UnixNanos,
    ) -> Result<Order, Refusal> {
        let id = self.open_order_id(account, instrument, order)?;
        self.cancel_open(id, now)
    }

    /// Changes an open order. A smaller quantity keeps its turn; anything else goes to the end of the queue and
    /// may trade at once.
    ///
    /// # Errors
    /// [`Refusal`]; the order is then as before.
    pub fn amend_order(
        &mut self,
        account: &AccountId,
        instrument: &str,
        order: &OrderRef,
        amendment: Amendment,
        now: UnixNanos,
    ) -> Result<Order, Refusal> {
        let id = self.open_order_id(account, instrument, order)?;
        let listed = self.listed(instrument)?.clone();
        let current = self.open_orders.get(&id).ok_or(Refusal::OrderUnknown)?.clone();
        if amendment.price.is_none() && amendment.quantity.is_none() {
            return Err(Refusal::ParameterInvalid { name: "newSz" });
        }
        let mut amended = current.clone();
        amended.terms.price = amendment.price.or(current.terms.price);
        amended.terms.quantity = amendment.quantity.unwrap_or(current.terms.quantity);
        check_terms(&listed, &amended.terms)?;
        if amended.terms.quantity <= current.filled {
            return Err(Refusal::ParameterInvalid { name: "newSz" });
        }
        let needed = reserve_resting(&amended)?;
        if needed >= current.held {
            let more = needed.checked_sub(current.held).ok_or(Refusal::OutOfRange)?;
            self.hold(account, &listed, current.terms.side, more)?;
        } else {
            let less = current.held.checked_sub(needed).ok_or(Refusal::OutOfRange)?;
            self.release(account, &listed, current.terms.side, less)?;
        }
        amended.held = needed;
        amended.updated_at = now;
        let keeps_turn =
            amended.terms.price == current.terms.price && amended.terms.quantity <= current.terms.quantity;
        self.updates.push(Update::Order(Box::new(amended.clone())));
        let amended = if keeps_turn {
            self.open_orders.insert(id, amended.clone());
            self.book_changed(instrument);
            amended
        } else {
            self.take_from_book(id);
            amended.priority = self.fresh_id();
            self.enter(amended, &listed, now)?
        };
        self.report_touched();
        Ok(amended)
    }

    /// An order of the account, open or remembered.
    ///
    /// # Errors
    /// [`Refusal::AccountUnknown`] or [`Refusal::OrderUnknown`].
    pub fn order(&self, account: &AccountId, order: &OrderRef) -> Result<&Order, Refusal> {
        let entry = self.account(account)?;
        let id = match order {
            OrderRef::ClientId(client_id) => {
                *entry.client_order_ids.get(client_id).ok_or(Refusal::OrderUnknown)?
            }
            OrderRef::Id(id) => *id,
        };
        let open = self.open_orders.get(&id).filter(|order| order.terms.account == *account);
        open.or_else(|| entry.finished.iter().find(|order| order.id == id)).ok_or(Refusal::OrderUnknown)
    }

    /// Open orders of the account, newest first.
    ///
    /// # Errors
    /// [`Refusal::AccountUnknown`].
    pub fn open_orders(&self, account: &AccountId) -> Result<impl Iterator<Item = &Order>, Refusal> {
        Ok(self.account(account)?.open_orders.iter().rev().filter_map(|id| self.open_orders.get(id)))
    }

    /// Finished orders remembered of the account, the last finished first.
    ///
    /// # Errors
    /// [`Refusal::AccountUnknown`].
    pub fn finished_orders(&self, account: &AccountId) -> Result<impl Iterator<Item = &Order>, Refusal> {
        Ok(self.account(account)?.finished.iter().rev())
    }

    /// Fills remembered of the account, newest first.
    ///
    /// # Errors
    /// [`Refusal::AccountUnknown`].
    pub fn fills(&self, account: &AccountId) -> Result<impl Iterator<Item = &Fill>, Refusal> {
        Ok(self.account(account)?.fills.iter().rev())
    }

    /// Trades remembered of an instrument, newest first.
    ///
    /// # Errors
    /// [`Refusal::InstrumentUnknown`].
    pub fn trades(&self, instrument: &str) -> Result<impl Iterator<Item = &Trade>, Refusal> {
        self.listed(instrument)?;
        Ok(self.markets.get(instrument).into_iter().flat_map(|market| market.trades.iter().rev()))
    }

    /// Up to `depth` price levels of one side, best first: price, quantity, number of orders.
    ///
    /// # Errors
    /// [`Refusal::InstrumentUnknown`].
    pub fn levels(
        &self,
        instrument: &str,
        side: Side,
        depth: usize,
    ) -> Result<Vec<(Amount, Amount, usize)>, Refusal> {
        self.listed(instrument)?;
        let mut levels: Vec<(Amount, Amount, usize)> = Vec::new();
        for (price, id) in
            self.markets.get(instrument).into_iter().flat_map(|market| market.book.orders(side))
        {
            let remaining = self.open_orders.get(&id).map(Order::remaining).unwrap_or_default();
            let shown = levels.len();
            match levels.last_mut().filter(|level| level.0 == price) {
                Some(level) => {
                    level.1 = level.1.checked_add(remaining).unwrap_or(level.1);
                    level.2 += 1;
                }
                None if shown == depth => break,
                None => levels.push((price, remaining, 1)),
            }
        }
        Ok(levels)
    }

    /// Grows with every change of the instrument's book.
    ///
    /// # Errors
    /// [`Refusal::InstrumentUnknown`].
    pub fn book_version(&self, instrument: &str) -> Result<u64, Refusal> {
        self.listed(instrument)?;
        Ok(self.markets.get(instrument).map_or(0, |market| market.book_version))
    }

    fn book_changed(&mut self, instrument: &str) {
        if let Some(market) = self.markets.get_mut(instrument) {
            market.book_version += 1;
        }
    }

    /// Lets an order whose funds are reserved meet the book, then rest or finish.
    fn enter(&mut self, mut order: Order, instrument: &Instrument, now: UnixNanos) -> Result<Order, Refusal> {
        if order.terms.kind == OrderKind::PostOnly && self.would_trade(&order) {
            return self.finish(order, OrderState::Canceled, now);
        }
        if order.terms.kind == OrderKind::FillOrKill && !self.can_fill(&order) {
            return self.finish(order, OrderState::Canceled, now);
        }
        let mut matches = 0;
        while matches < MATCHES_PER_ORDER_MAX {
            match self.meet_next(&mut order, instrument, now)? {
                Meeting::CanceledOwn => {}
                Meeting::Nobody => break,
                Meeting::Traded => matches += 1,
            }
        }
        if self.is_done(&order, instrument) {
            return self.finish(order, OrderState::Filled, now);
        }
        if !order.terms.kind.rests() || self.would_trade(&order) {
            return self.finish(order, OrderState::Canceled, now);
        }
        let Some(price) = order.terms.price else { return self.finish(order, OrderState::Canceled, now) };
        // A buy that traded below its limit no longer needs the difference.
        let needed = reserve_resting(&order)?;
        let spare = order.held.checked_sub(needed).ok_or(Refusal::OutOfRange)?;
        self.release(&order.terms.account, instrument, order.terms.side, spare)?;
        order.held = needed;
        order.state = if order.filled.is_zero() { OrderState::Live } else { OrderState::PartiallyFilled };
        if let Some(market) = self.markets.get_mut(&instrument.id) {
            market.book.insert(order.terms.side, price, order.priority, order.id);
        }
        self.book_changed(&instrument.id);
        self.account_mut(&order.terms.account)?.open_orders.insert(order.id);
        self.open_orders.insert(order.id, order.clone());
        Ok(order)
    }

    /// Meets the best order of the other side.
    fn meet_next(
        &mut self,
        taker: &mut Order,
        instrument: &Instrument,
        now: UnixNanos,
    ) -> Result<Meeting, Refusal> {
        if !self.would_trade(taker) {
            return Ok(Meeting::Nobody);
        }
        let best =
            self.markets.get(&instrument.id).and_then(|market| market.book.best(taker.terms.side.opposite()));
        let Some((price, maker_id)) = best else { return Ok(Meeting::Nobody) };
        let maker = self.open_orders.get(&maker_id).ok_or(Refusal::OrderUnknown)?;
        if maker.terms.account == taker.terms.account {
            self.cancel_open(maker_id, now)?;
            return Ok(Meeting::CanceledOwn);
        }
        let wanted = affordable(taker, instrument, price);
        let quantity = if wanted < maker.remaining() { wanted } else { maker.remaining() };
        if quantity <= Amount::ZERO {
            return Ok(Meeting::Nobody);
        }
        let mut maker = maker.clone();
        self.trade(taker, &mut maker, instrument, price, quantity, now)?;
        self.book_changed(&instrument.id);
        let is_done = self.is_done(taker, instrument);
        taker.state = if is_done { OrderState::Filled } else { OrderState::PartiallyFilled };
        maker.state =
            if maker.remaining().is_zero() { OrderState::Filled } else { OrderState::PartiallyFilled };
        for order in [&*taker, &maker] {
            self.updates.push(Update::Order(Box::new(order.clone())));
        }
        if maker.remaining().is_zero() {
            self.take_from_book(maker_id);
            self.finish(maker, OrderState::Filled, now)?;
        } else {
            self.open_orders.insert(maker_id, maker);
        }
        Ok(Meeting::Traded)
    }

    /// Moves the money of one trade and writes it down for both parties.
    fn trade(
        &mut self,
        taker: &mut Order,
        maker: &mut Order,
        instrument: &Instrument,
        price: Amount,
        quantity: Amount,
        now: UnixNanos,
    ) -> Result<(), Refusal> {
        let value = price.checked_mul(quantity).ok_or(Refusal::OutOfRange)?;
        let taker_buys = taker.terms.side == Side::Buy;
        let (buyer_bps, seller_bps) =
            if taker_buys { (TAKER_FEE_BPS, MAKER_FEE_BPS) } else { (MAKER_FEE_BPS, TAKER_FEE_BPS) };
        let (buyer_fee, seller_fee) = (fee(quantity, buyer_bps)?, fee(value, seller_bps)?);
        let (buyer, seller) = if taker_buys { (&*taker, &*maker) } else { (&*maker, &*taker) };
        let (buyer, seller) = (buyer.terms.account.clone(), seller.terms.account.clone());
        let leg = |asset: &domain::Asset, amount: Option<Amount>, from: Place, to: Place| {
            Ok(Posting { asset: asset.clone(), amount: amount.ok_or(Refusal::OutOfRange)?, from, to })
        };
        self.balances.post(&[
            leg(
                &instrument.quote,
                value.checked_sub(seller_fee),
                Place::Held(buyer.clone()),
                Place::Available(seller.clone()),
            )?,
            leg(&instrument.quote, Some(seller_fee), Place::Held(buyer.clone()), Place::Fees)?,
            leg(
                &instrument.base,
                quantity.checked_sub(buyer_fee),
                Place::Held(seller.clone()),
                Place::Available(buyer),
            )?,
            leg(&instrument.base, Some(buyer_fee), Place::Held(seller), Place::Fees)?,
        ])?;

        let id = self.fresh_id();
        for order in [&mut *taker, &mut *maker] {
            let buys = order.terms.side == Side::Buy;
            let (paid, fee) = if buys { (value, buyer_fee) } else { (quantity, seller_fee) };
            order.held = order.held.checked_sub(paid).ok_or(Refusal::OutOfRange)?;
            order.filled = order.filled.checked_add(quantity).ok_or(Refusal::OutOfRange)?;
            order.filled_value = order.filled_value.checked_add(value).ok_or(Refusal::OutOfRange)?;
            order.fee = order.fee.checked_add(fee).ok_or(Refusal::OutOfRange)?;
            order.updated_at = now;
        }
        for (order, waited) in [(taker, false), (maker, true)] {
            let buys = order.terms.side == Side::Buy;
            let fill = Fill {
                trade_id: id,
                order_id: order.id,
                client_id: order.terms.client_id.clone(),
                instrument: instrument.id.clone(),
                side: order.terms.side,
                price,
                quantity,
                fee: if buys { buyer_fee } else { seller_fee },
                maker: waited,
                at: now,
            };
            order.last_fill = Some(fill.clone());
            let account = order.terms.account.clone();
            remember(&mut self.account_mut(&account)?.fills, fill, HISTORY_PER_ACCOUNT_MAX);
            self.happened(
                &account,
                EventKind::OrderFilled { instrument: instrument.id.clone(), quantity, price },
            );
        }
        if let Some(market) = self.markets.get_mut(&instrument.id) {
            let taker_side = if taker_buys { Side::Buy } else { Side::Sell };
            let trade = Trade { id, taker_side, price, quantity, at: now };
            self.updates.push(Update::Trade { instrument: instrument.id.clone(), trade: trade.clone() });
            remember(&mut market.trades, trade, TRADES_PER_INSTRUMENT_MAX);
        }
        Ok(())
    }

    fn listed(&self, instrument: &str) -> Result<&Instrument, Refusal> {
        self.catalog
            .instrument(instrument)
            .ok_or_else(|| Refusal::InstrumentUnknown { id: instrument.chars().take(64).collect() })
    }

    fn open_order_id(
        &self,
        account: &AccountId,
        instrument: &str,
        order: &OrderRef,
    ) -> Result<OrderId, Refusal> {
        self.listed(instrument)?;
        let order = self.order(account, order)?;
        if order.terms.instrument != instrument {
            return Err(Refusal::OrderUnknown);
        }
        if order.is_open() { Ok(order.id) } else { Err(Refusal::OrderFinished) }
    }

    fn cancel_open(&mut self, id: OrderId, now: UnixNanos) -> Result<Order, Refusal> {
        let order = self.take_from_book(id).ok_or(Refusal::OrderUnknown)?;
        self.finish(order, OrderState::Canceled, now)
    }

    fn take_from_book(&mut self, id: OrderId) -> Option<Order> {
        let order = self.open_orders.remove(&id)?;
        if let (Some(market), Some(price)) =
            (self.markets.get_mut(&order.terms.instrument), order.terms.price)
        {
            market.book.remove(order.terms.side, price, order.priority);
        }
        self.book_changed(&order.terms.instrument);
        if let Some(account) = self.accounts.get_mut(&order.terms.account) {
            account.open_orders.remove(&id);
        }
        Some(order)
    }

    /// Releases what is still held and files the order away.
    fn finish(&mut self, mut order: Order, state: OrderState, now: UnixNanos) -> Result<Order, Refusal> {
        let instrument = self.listed(&order.terms.instrument)?.clone();
        self.release(&order.terms.account, &instrument, order.terms.side, order.held)?;
        order.held = Amount::ZERO;
        order.state = state;
        order.updated_at = now;
        if state == OrderState::Canceled {
            // What was filled said so with its last trade.
            self.updates.push(Update::Order(Box::new(order.clone())));
        }
        let account = self.account_mut(&order.terms.account)?;
        let forgotten = remember(&mut account.finished, order.clone(), HISTORY_PER_ACCOUNT_MAX);
        if let Some(client_id) = forgotten.and_then(|forgotten| forgotten.terms.client_id) {
            account.client_order_ids.remove(&client_id);
        }
        Ok(order)
    }

    /// Whether the best order of the other side is at a price the order accepts.
    fn would_trade(&self, order: &Order) -> bool {
        let best = self
            .markets
            .get(&order.terms.instrument)
            .and_then(|market| market.book.best(order.terms.side.opposite()));
        best.is_some_and(|(price, _)| accepts(&order.terms, price))
    }

    /// Whether the book can fill the order in full within the bound on matches.
    fn can_fill(&self, order: &Order) -> bool {
        let offers = self.offers(&order.terms).take(MATCHES_PER_ORDER_MAX).map(|(_, quantity)| quantity);
        let sum = offers.fold(Amount::ZERO, |sum, quantity| sum.checked_add(quantity).unwrap_or(sum));
        sum >= order.remaining()
    }

    /// Price and quantity of what others offer at prices the order accepts, best first.
    fn offers<'a>(&'a self, terms: &'a NewOrder) -> impl Iterator<Item = (Amount, Amount)> + 'a {
        let orders = self
            .markets
            .get(&terms.instrument)
            .into_iter()
            .flat_map(|m| m.book.orders(terms.side.opposite()));
        orders
            .take_while(|(price, _)| accepts(terms, *price))
            .filter_map(|(price, id)| Some((price, self.open_orders.get(&id)?)))
            .filter(|(_, offer)| offer.terms.account != terms.account)
            .map(|(price, offer)| (price, offer.remaining()))
    }

    fn is_done(&self, order: &Order, instrument: &Instrument) -> bool {
        match order.terms.quantity_of {
            QuantityOf::Base => order.remaining().is_zero(),
            // Spent as far as whole lots go at the price of the next offer.
            QuantityOf::Quote => {
                let next = self.offers(&order.terms).next();
                order.held.is_zero()
                    || next.is_some_and(|(price, _)| affordable(order, instrument, price).is_zero())
            }
        }
    }

    /// What must be reserved before the order may meet anything: quote for a buy, base for a sell.
    fn reserve_of(&self, terms: &NewOrder) -> Result<Amount, Refusal> {
        match (terms.side, terms.price, terms.quantity_of) {
            (Side::Sell, ..) | (Side::Buy, None, QuantityOf::Quote) => {
                if terms.price.is_none() && self.offers(terms).next().is_none() {
                    return Err(Refusal::NoOffer);
                }
                Ok(terms.quantity)
            }
            (Side::Buy, Some(price), _) => price.checked_mul(terms.quantity).ok_or(Refusal::OutOfRange),
            (Side::Buy, None, QuantityOf::Base) => {
                let (mut left, mut value) = (terms.quantity, Amount::ZERO);
                for (price, offered) in self.offers(terms).take(MATCHES_PER_ORDER_MAX) {
                    let quantity = if left < offered { left } else { offered };
                    let cost = price.checked_mul(quantity).ok_or(Refusal::OutOfRange)?;
                    value = value.checked_add(cost).ok_or(Refusal::OutOfRange)?;
                    left = left.checked_sub(quantity).ok_or(Refusal::OutOfRange)?;
                    if left.is_zero() {
                        break;
                    }
                }
                if value.is_zero() { Err(Refusal::NoOffer) } else { Ok(value) }
            }
        }
    }

    fn hold(
        &mut self,
        account: &AccountId,
        instrument: &Instrument,
        side: Side,
        amount: Amount,
    ) -> Result<(), Refusal> {
        self.balances.post(&[Posting {
            asset: paid_asset(instrument, side).clone(),
            amount,
            from: Place::Available(account.clone()),
            to: Place::Held(account.clone()),
        }])
    }

    fn release(
        &mut self,
        account: &AccountId,
        instrument: &Instrument,
        side: Side,
        amount: Amount,
    ) -> Result<(), Refusal> {
        self.balances.post(&[Posting {
            asset: paid_asset(instrument, side).clone(),
            amount,
            from: Place::Held(account.clone()),
            to: Place::Available(account.clone()),
        }])
    }
}

fn paid_asset(instrument: &Instrument, side: Side) -> &domain::Asset {
    match side {
        Side::Buy => &instrument.quote,
        Side::Sell => &instrument.base,
    }
}

/// What a resting order needs reserved for what is left of it.
fn reserve_resting(order: &Order) -> Result<Amount, Refusal> {
    match (order.terms.side, order.terms.price) {
        (Side::Buy, Some(price)) => price.checked_mul(order.remaining()).ok_or(Refusal::OutOfRange),
        (Side::Buy, None) => Err(Refusal::ParameterInvalid { name: "px" }),
        (Side::Sell, _) => Ok(order.remaining()),
    }
}

fn accepts(terms: &NewOrder, price: Amount) -> bool {
    match (terms.side, terms.price) {
        (_, None) => true,
        (Side::Buy, Some(limit)) => price <= limit,
        (Side::Sell, Some(limit)) => price >= limit,
    }
}

/// The base quantity the order still wants and can pay for at `price`, in whole lots.
fn affordable(order: &Order, instrument: &Instrument, price: Amount) -> Amount {
    let by_quantity = match order.terms.quantity_of {
        QuantityOf::Base => order.remaining(),
        QuantityOf::Quote => instrument.quantity_max,
    };
    if order.terms.side == Side::Sell {
        return by_quantity;
    }
    let by_funds = order.held.checked_div(price).unwrap_or_default().truncate(instrument.quantity_places);
    // The quotient is rounded at its 28th digit, which can be one lot too much.
    let fits = by_funds.checked_mul(price).is_some_and(|value| value <= order.held);
    let lot = Amount::from_parts(1, instrument.quantity_places).unwrap_or_default();
    let by_funds = if fits { by_funds } else { by_funds.checked_sub(lot).unwrap_or_default() };
    if by_quantity < by_funds { by_quantity } else { by_funds }
}

/// `bps` hundredths of a percent, cut off at the last place the ledger keeps.
fn fee(received: Amount, bps: u32) -> Result<Amount, Refusal> {
    let rate = Amount::from_parts(i128::from(bps), 4).map_err(|_| Refusal::OutOfRange)?;
    Ok(received.checked_mul(rate).ok_or(Refusal::OutOfRange)?.truncate(PLACES_MAX))
}

fn check_terms(instrument: &Instrument, terms: &NewOrder) -> Result<(), Refusal> {
    match (terms.kind.has_price(), terms.price) {
        (false, None) => {}
        (true, Some(price)) => {
            let fits = price > Amount::ZERO
                && price <= instrument.price_max
                && price.parts().1 <= instrument.price_places;
            if !fits {
                return Err(Refusal::ParameterInvalid { name: "px" });
            }
        }
        (true, None) | (false, Some(_)) => return Err(Refusal::ParameterInvalid { name: "px" }),
    }
    if terms.quantity <= Amount::ZERO {
        return Err(Refusal::ParameterInvalid { name: "sz" });
    }
    match terms.quantity_of {
        QuantityOf::Base => {
            if terms.quantity > instrument.quantity_max {
                return Err(Refusal::AmountTooLarge);
            }
            if terms.quantity < instrument.quantity_min {
                return Err(Refusal::QuantityTooSmall);
            }
            if terms.quantity.parts().1 > instrument.quantity_places {
                return Err(Refusal::QuantityOffLot);
            }
        }
        QuantityOf::Quote => {
            if terms.side != Side::Buy || terms.kind != OrderKind::Market {
                return Err(Refusal::ParameterInvalid { name: "tgtCcy" });
            }
            if terms.quantity.parts().1 > PLACES_MAX {
                return Err(Refusal::ParameterInvalid { name: "sz" });
            }
        }
    }
    let named = |text: &Option<String>, max: usize| {
        text.as_ref().is_none_or(|text| {
            (1..=max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
    };
    if !named(&terms.client_id, CLIENT_ID_BYTES_MAX) {
        return Err(Refusal::ParameterInvalid { name: "clOrdId" });
    }
    if !named(&terms.tag, TAG_BYTES_MAX) {
        return Err(Refusal::ParameterInvalid { name: "tag" });
    }
    Ok(())
}

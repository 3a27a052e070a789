//! Values as JSON text at the end of a byte vector.
//!
//! `serde_json` looks at every byte of every name for something to escape, and hands on a bracket, a
//! comma or a name at a time. Names of fields are ours and need no look, and a vector takes all of it
//! in one place: half the time for a document of numbers and short words.

use serde::ser::{
    Error as _, Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct,
    SerializeStructVariant, SerializeTuple, SerializeTupleStruct, SerializeTupleVariant,
    Serializer,
};
use serde_json::{Error, Result};

/// Brackets inside of which each value has a line of its own.
const LINE_DEPTH: usize = 2;

/// Appends values to `bytes`: a line for each field of the document and for each element of its
/// arrays, everything deeper in that line. A document of many connections is half as long, and
/// `grep` finds whole connections.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    bytes: &'a mut Vec<u8>,
    /// Brackets that are open.
    depth: usize,
}

impl<'a> Writer<'a> {
    /// A writer inside of so many open brackets.
    pub(super) fn new(bytes: &'a mut Vec<u8>, depth: usize) -> Self {
        Writer { bytes, depth }
    }

    fn open(&mut self, bracket: u8) -> Compound<'_, 'a> {
        self.bytes.push(bracket);
        self.depth += 1;
        Compound {
            writer: self,
            is_empty: true,
            closing: &[],
        }
    }

    #[inline]
    fn key(&mut self, name: &str) {
        let bytes = &mut *self.bytes;
        bytes.push(b'"');
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(b"\": ");
    }

    /// Opens the object of an enum's variant.
    fn variant(&mut self, name: &str, bracket: u8, closing: &'static [u8]) -> Compound<'_, 'a> {
        self.bytes.push(b'{');
        self.depth += 1;
        if self.depth <= LINE_DEPTH {
            new_line(self.bytes, self.depth);
        }
        self.key(name);
        let mut compound = self.open(bracket);
        compound.closing = closing;
        compound
    }
}

/// Begins a line inside of so many brackets.
pub(super) fn new_line(bytes: &mut Vec<u8>, depth: usize) {
    const LINE: &[u8] = b"\n    ";
    bytes.extend_from_slice(LINE.get(..=depth * 2).unwrap_or(LINE));
}

/// Appends a string in quotes.
#[inline]
pub(super) fn string(bytes: &mut Vec<u8>, text: &str) -> Result<()> {
    // All bytes at once: without a branch for each, the processor takes sixteen in one step.
    let is_odd =
        |byte: u8| u8::from(byte < 0x20) | u8::from(byte == b'"') | u8::from(byte == b'\\');
    if text.bytes().fold(0, |odd, byte| odd | is_odd(byte)) != 0 {
        return serde_json::to_writer(bytes, text);
    }
    bytes.reserve(text.len() + 2);
    bytes.push(b'"');
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(b'"');
    Ok(())
}

/// An object or array that is open.
#[derive(Debug)]
pub(super) struct Compound<'w, 'a> {
    writer: &'w mut Writer<'a>,
    is_empty: bool,
    /// Brackets that close what is around a variant's own.
    closing: &'static [u8],
}

impl Compound<'_, '_> {
    /// Separates a value from the one before it.
    #[inline]
    fn begin(&mut self) {
        let writer = &mut *self.writer;
        if !self.is_empty {
            writer.bytes.push(b',');
        }
        self.is_empty = false;
        if writer.depth <= LINE_DEPTH {
            new_line(writer.bytes, writer.depth);
        }
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.begin();
        value.serialize(&mut *self.writer)
    }

    #[inline]
    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<()> {
        self.begin();
        self.writer.key(name);
        value.serialize(&mut *self.writer)
    }

    fn close(self, bracket: u8) {
        let writer = self.writer;
        writer.depth = writer.depth.saturating_sub(1);
        if !self.is_empty && writer.depth < LINE_DEPTH {
            new_line(writer.bytes, writer.depth);
        }
        writer.bytes.push(bracket);
        for &bracket in self.closing {
            writer.depth = writer.depth.saturating_sub(1);
            if writer.depth < LINE_DEPTH {
                new_line(writer.bytes, writer.depth);
            }
            writer.bytes.push(bracket);
        }
    }
}

/// Writes integers.
macro_rules! integers {
    ($($method:ident: $type:ty),*) => {
        $(
            #[inline]
            fn $method(self, value: $type) -> Result<()> {
                let mut buffer = itoa::Buffer::new();
                self.bytes.extend_from_slice(buffer.format(value).as_bytes());
                Ok(())
            }
        )*
    };
}

impl<'w, 'a> Serializer for &'w mut Writer<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Compound<'w, 'a>;
    type SerializeTuple = Compound<'w, 'a>;
    type SerializeTupleStruct = Compound<'w, 'a>;
    type SerializeTupleVariant = Compound<'w, 'a>;
    type SerializeMap = Compound<'w, 'a>;
    type SerializeStruct = Compound<'w, 'a>;
    type SerializeStructVariant = Compound<'w, 'a>;

    integers!(
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32,
        serialize_u64: u64, serialize_u128: u128
    );

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<()> {
        let word: &[u8] = if value { b"true" } else { b"false" };
        self.bytes.extend_from_slice(word);
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Result<()> {
        serde_json::to_writer(&mut *self.bytes, &value)
    }

    fn serialize_f64(self, value: f64) -> Result<()> {
        serde_json::to_writer(&mut *self.bytes, &value)
    }

    fn serialize_char(self, value: char) -> Result<()> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<()> {
        string(self.bytes, value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<()> {
        self.collect_seq(value)
    }

    #[inline]
    fn serialize_none(self) -> Result<()> {
        self.serialize_unit()
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        value.serialize(self)
    }

    #[inline]
    fn serialize_unit(self) -> Result<()> {
        self.bytes.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<()> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Result<()> {
        self.serialize_str(name)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        value: &T,
    ) -> Result<()> {
        let mut object = self.open(b'{');
        object.field(name, value)?;
        object.close(b'}');
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq> {
        Ok(self.open(b'['))
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple> {
        Ok(self.open(b'['))
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct> {
        Ok(self.open(b'['))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant> {
        Ok(self.variant(name, b'[', b"}"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap> {
        Ok(self.open(b'{'))
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct> {
        Ok(self.open(b'{'))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant> {
        Ok(self.variant(name, b'{', b"}"))
    }
}

impl SerializeSeq for Compound<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.element(value)
    }

    fn end(self) -> Result<()> {
        self.close(b']');
        Ok(())
    }
}

impl SerializeTuple for Compound<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.element(value)
    }

    fn end(self) -> Result<()> {
        self.close(b']');
        Ok(())
    }
}

impl SerializeTupleStruct for Compound<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.element(value)
    }

    fn end(self) -> Result<()> {
        self.close(b']');
        Ok(())
    }
}

impl SerializeTupleVariant for Compound<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.element(value)
    }

    fn end(self) -> Result<()> {
        self.close(b']');
        Ok(())
    }
}

impl SerializeMap for Compound<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        self.begin();
        key.serialize(MapKey(self.writer.bytes))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.writer.bytes.extend_from_slice(b": ");
        value.serialize(&mut *self.writer)
    }

    fn end(self) -> Result<()> {
        self.close(b'}');
        Ok(())
    }
}

impl SerializeStruct for Compound<'_, '_> {
    type Ok = ();
    type Error = Error;

    #[expect(
        clippy::inline_always,
        reason = "where a field is written its name is known, and takes a few moves"
    )]
    #[inline(always)]
    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<()> {
        self.begin();
        // All of it at once: the length is known where this is inlined.
        let bytes = &mut *self.writer.bytes;
        bytes.reserve(name.len() + 4);
        bytes.push(b'"');
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(b"\": ");
        value.serialize(&mut *self.writer)
    }

    fn end(self) -> Result<()> {
        self.close(b'}');
        Ok(())
    }
}

impl SerializeStructVariant for Compound<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<()> {
        self.field(name, value)
    }

    fn end(self) -> Result<()> {
        self.close(b'}');
        Ok(())
    }
}

/// The name of an entry of a map, which has to be a string.
struct MapKey<'a>(&'a mut Vec<u8>);

/// Refuses what is no string.
macro_rules! no_key {
    ($($method:ident($($type:ty),*) -> $result:ty;)*) => {
        $(
            fn $method(self, $(_: $type),*) -> Result<$result> {
                Err(Error::custom("the name of an entry is no string"))
            }
        )*
    };
}

impl Serializer for MapKey<'_> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Impossible<(), Error>;
    type SerializeTuple = Impossible<(), Error>;
    type SerializeTupleStruct = Impossible<(), Error>;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeMap = Impossible<(), Error>;
    type SerializeStruct = Impossible<(), Error>;
    type SerializeStructVariant = Impossible<(), Error>;

    fn serialize_str(self, value: &str) -> Result<()> {
        string(self.0, value)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Result<()> {
        self.serialize_str(name)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: &T,
    ) -> Result<()> {
        self.serialize_unit_struct(name)
    }

    no_key! {
        serialize_bool(bool) -> ();
        serialize_i8(i8) -> ();
        serialize_i16(i16) -> ();
        serialize_i32(i32) -> ();
        serialize_i64(i64) -> ();
        serialize_u8(u8) -> ();
        serialize_u16(u16) -> ();
        serialize_u32(u32) -> ();
        serialize_u64(u64) -> ();
        serialize_f32(f32) -> ();
        serialize_f64(f64) -> ();
        serialize_char(char) -> ();
        serialize_bytes(&[u8]) -> ();
        serialize_none() -> ();
        serialize_unit() -> ();
        serialize_unit_struct(&'static str) -> ();
        serialize_seq(Option<usize>) -> Self::SerializeSeq;
        serialize_tuple(usize) -> Self::SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize)
            -> Self::SerializeTupleVariant;
        serialize_map(Option<usize>) -> Self::SerializeMap;
        serialize_struct(&'static str, usize) -> Self::SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize)
            -> Self::SerializeStructVariant;
    }
}
